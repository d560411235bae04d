namespace RedisSessions.Tests.Attacks.Model;

/// <summary>
/// What docs/users.md promises, in plain memory: a ticket is honoured only beside the very session of its sign-in, which ends for a
/// reason that has a name. Cookies are known by what they say (the sign-in's number, the session's id), whoever holds them.
/// </summary>
internal sealed class SignInModel
{
    public static readonly TimeSpan Remembered = TimeSpan.FromDays(30);
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromMinutes(20);
    private readonly Dictionary<string, long> _revokedAt = [];

    public Dictionary<Guid, StoredSignIn> Sessions { get; } = [];

    /// <summary>By the number in their tickets, of which a ticket that was written again has another.</summary>
    public Dictionary<string, SignIn> SignIns { get; } = [];

    public static StoredSignIn NewSession(DateTimeOffset now) => new() { SeenAt = now, Idle = IdleTimeout };

    /// <summary>What a request with these cookies must see.</summary>
    public Sight Look(Ticket? ticket, Guid? id, bool isOtherAgent, DateTimeOffset now)
    {
        var session = id is { } known ? Sessions.GetValueOrDefault(known) : null;
        if (session?.Ends < now)
        {
            Remove(id!.Value, "its ticket expired");
            session = null;
        }

        if (session is not null && session.IsOtherAgent != isOtherAgent)
        {
            // Rejected: an empty session, and the owner's stays.
            session = null;
        }

        if (session is not null)
        {
            session.SeenAt = now;
        }

        var isHonoured = ticket is { Number: not null } && ticket.Expires > now && session?.Number == ticket.Number;
        return new Sight(isHonoured, session, isHonoured ? ticket!.User : "", session?.SignIn?.User ?? "", session?.Data ?? "");
    }

    public void Remove(Guid id, string reason)
    {
        if (Sessions.Remove(id, out var session))
        {
            session.SignIn?.End(reason);
        }
    }

    /// <summary>Everything of the user's that was begun before ends, but what is spared.</summary>
    public void RevokeAll(string user, SignIn? spared, string reason, DateTimeOffset now)
    {
        _revokedAt[user] = now.UtcTicks;
        foreach (var signIn in SignIns.Values.Where(signIn => signIn.User == user && signIn != spared))
        {
            signIn.End(reason);
        }

        foreach (var (id, _) in Sessions.Where(pair => pair.Value.SignIn is { } signIn && signIn.User == user && signIn != spared).ToArray())
        {
            Sessions.Remove(id);
        }
    }

    /// <summary>A sign-in that may have been under way when its user's sessions were revoked, and then is over.</summary>
    public SignIn Begin(string number, string user, long begunAt, int holder)
    {
        var signIn = new SignIn(user) { Holder = holder };
        if (_revokedAt.TryGetValue(user, out var revokedAt) && begunAt < revokedAt)
        {
            signIn.End("revoked while it signed in");
        }

        return SignIns[number] = signIn;
    }

    /// <summary>As Redis does at the end of an idle timeout.</summary>
    public IReadOnlyList<Guid> Expire(DateTimeOffset now)
    {
        Guid[] over = [.. Sessions.Where(pair => now - pair.Value.SeenAt > pair.Value.Idle).Select(pair => pair.Key)];
        foreach (var id in over)
        {
            Remove(id, "its idle timeout");
        }

        return over;
    }
}

/// <summary>A sign-in, from the moment of credentials to its end.</summary>
internal sealed class SignIn(string user)
{
    public string User { get; } = user;

    /// <summary>Why it is over; null while it is not.</summary>
    public string? Ended { get; private set; }

    /// <summary>Who got its latest cookies.</summary>
    public int Holder { get; set; }

    /// <summary>
    /// Limit, docs/users.md: without an index entry, whose write was lost with Redis, a session lives until its next heartbeat.
    /// </summary>
    public bool MayLackEntry { get; set; }

    public void End(string reason) => Ended ??= reason;
}

/// <summary>A session as Redis should hold it.</summary>
internal sealed record StoredSignIn
{
    /// <summary>Null for an anonymous visitor's.</summary>
    public SignIn? SignIn { get; set; }

    public string? Number { get; set; }

    public string Data { get; set; } = "";

    /// <summary>When its ticket expires.</summary>
    public DateTimeOffset? Ends { get; set; }

    public DateTimeOffset SeenAt { get; set; }

    public TimeSpan Idle { get; set; }

    /// <summary>Whether it is the other browser's.</summary>
    public bool IsOtherAgent { get; set; }
}

/// <summary>What a request must see.</summary>
internal sealed record Sight(bool IsHonoured, StoredSignIn? Session, string Name, string Owner, string Data);
