namespace RedisSessions;

/// <summary>What the dashboard of <c>MapSessionDashboard</c> shows.</summary>
public sealed class SessionDashboardOptions
{
    /// <summary>
    /// Whether a session's page shows what its fields hold, to whoever the policy lets in; each look is written to the log. They may hold
    /// what nobody but the user should read, so the default is <see langword="false"/>: names and sizes.
    /// </summary>
    public bool ShowValues { get; set; }

    /// <summary>How often an open page refreshes its figures, at least a second; <see cref="TimeSpan.Zero"/> for never. Default 5 seconds.</summary>
    public TimeSpan RefreshInterval { get; set; } = TimeSpan.FromSeconds(5);
}
