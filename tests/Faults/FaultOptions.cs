namespace RedisSessions.Faults;

/// <summary>How a fault is tried.</summary>
/// <param name="Stack">Whose sessions.</param>
/// <param name="Wait">How long requests wait for a fail-over.</param>
/// <param name="Seconds">How long the load runs, the fault after a fifth of it.</param>
/// <param name="Sessions">How many browsers.</param>
/// <param name="Notified">Whether copies are served without asking.</param>
/// <param name="ClientFollows">Whether the application hands over a connection that follows Sentinels itself, as StackExchange.Redis can.</param>
public sealed record FaultOptions(Stack Stack, TimeSpan Wait, double Seconds = 15, int Sessions = 26, bool Notified = false, bool ClientFollows = false);
