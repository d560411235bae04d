using Microsoft.AspNetCore.Http;

namespace RedisSessions.Users;

/// <summary>What is known of one request's cookie sign-ins, as one of its features.</summary>
internal sealed class RequestSignIns
{
    private readonly HashSet<string> _cookieSchemes = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unverified = new(StringComparer.Ordinal);
    private readonly HashSet<string> _renewed = new(StringComparer.Ordinal);

    /// <summary>
    /// Whether some principal could not be verified, because Redis is away: it may be served, but whatever this request does binds,
    /// creates and renews nothing.
    /// </summary>
    public bool HasUnverified => _unverified.Count > 0;

    public static RequestSignIns? Find(HttpContext context) => context.Features.Get<RequestSignIns>();

    public static RequestSignIns Of(HttpContext context)
    {
        if (Find(context) is not { } present)
        {
            context.Features.Set(present = new RequestSignIns());
        }

        return present;
    }

    /// <summary>A cookie whose sign-in and session belong together: only its sign-in binds.</summary>
    public void Met(string scheme) => _cookieSchemes.Add(scheme);

    public bool HasMet(string scheme) => _cookieSchemes.Contains(scheme);

    public void CannotVerify(string scheme) => _unverified.Add(scheme);

    public bool IsUnverified(string scheme) => _unverified.Contains(scheme);

    /// <summary>The ticket slides in this request.</summary>
    public void Renews(string scheme) => _renewed.Add(scheme);

    public bool IsRenewed(string scheme) => _renewed.Contains(scheme);
}
