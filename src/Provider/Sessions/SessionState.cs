using System.Diagnostics;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>What a session is in a request. See the table in src/Provider/README.md.</summary>
internal enum SessionStateKind
{
    /// <summary>Nothing is stored, under a key that this request made.</summary>
    New,

    /// <summary>A load was sent, and nobody has waited for its outcome; or it failed, and nobody has read the session since.</summary>
    Loading,

    /// <summary>The session as Redis held it when this request loaded or last committed it.</summary>
    Loaded,

    /// <summary>The key came with the request, and nothing is stored under it.</summary>
    Absent,

    /// <summary>Nothing of it can be read, and nothing is written.</summary>
    Unavailable,

    /// <summary>It was there, and ended while this request held it: what the request still does to it is seen by the request alone.</summary>
    Gone,

    /// <summary>It may not be stored: what it holds is there for this request alone.</summary>
    InMemory,
}

/// <summary>The one value that says what a session is, with just what belongs to that.</summary>
[DebuggerDisplay("{Kind}")]
internal readonly struct SessionState
{
    private readonly object? _content;

    private SessionState(SessionStateKind kind, object? content)
    {
        Kind = kind;
        _content = content;
    }

    public static SessionState New => default;

    public static SessionState Absent => new(SessionStateKind.Absent, null);

    public static SessionState Gone => new(SessionStateKind.Gone, null);

    public static SessionState InMemory => new(SessionStateKind.InMemory, null);

    public SessionStateKind Kind { get; }

    /// <summary>While <see cref="SessionStateKind.Loading"/>; else null.</summary>
    public SessionLoad? Load => _content as SessionLoad;

    /// <summary>While <see cref="SessionStateKind.Loaded"/>; else null.</summary>
    public SessionSnapshot? Stored => _content as SessionSnapshot;

    /// <summary>While <see cref="SessionStateKind.Unavailable"/>; else null.</summary>
    public Exception? Reason => _content as Exception;

    public static SessionState Loading(SessionLoad load) => new(SessionStateKind.Loading, load);

    public static SessionState Loaded(SessionSnapshot stored) => new(SessionStateKind.Loaded, stored);

    public static SessionState Unavailable(Exception reason) => new(SessionStateKind.Unavailable, reason);
}
