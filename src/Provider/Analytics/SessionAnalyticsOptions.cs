namespace RedisSessions;

/// <summary>What analytics keeps, for how long, and within which bounds.</summary>
public sealed class SessionAnalyticsOptions
{
    /// <summary>How recently a session must have been used to count as active. Default 1 hour.</summary>
    public TimeSpan ActiveWindow { get; set; } = TimeSpan.FromHours(1);

    /// <summary>For how many days a day's figures are kept, at least 2. Default 35.</summary>
    public int RetentionDays { get; set; } = 35;

    /// <summary>How many of a session's latest events are kept. At least 1. Default 100.</summary>
    public int EventsPerSession { get; set; } = 100;

    /// <summary>For how long a session's events are kept after the last one. Default 1 day.</summary>
    public TimeSpan EventRetention { get; set; } = TimeSpan.FromDays(1);

    /// <summary>The longest name of an event, in characters; longer ones are refused. Default 64.</summary>
    public int MaxEventNameLength { get; set; } = 64;

    /// <summary>The longest data of an event, in characters; longer data are refused. Default 1,024.</summary>
    public int MaxEventDataLength { get; set; } = 1_024;

    /// <summary>How many different names of events are counted a day; further ones count as <c>(other)</c>. Default 500.</summary>
    public int MaxEventNamesPerDay { get; set; } = 500;

    /// <summary>How many records may wait on this server; what does not fit is dropped and counted. Default 10,000.</summary>
    public int QueueCapacity { get; set; } = 10_000;

    /// <summary>How often waiting records are written. Default 1 second.</summary>
    public TimeSpan FlushInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How often this server looks for sessions that have expired. Default 30 seconds.</summary>
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How many user agents and addresses a report names. Default 10.</summary>
    public int TopCount { get; set; } = 10;
}
