namespace RedisSessions.Live;

/// <summary>One connection that is open, and belongs to a session until that is over.</summary>
internal sealed class LiveConnection : IDisposable
{
    private readonly LiveConnections _all;
    private readonly Action _close;
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _closing = new();
    private LiveSubject _subject;
    private bool _isDisposed;

    public LiveConnection(LiveConnections all, LiveSubject subject, LiveKind kind, LiveClient client, Action close)
    {
        (_all, _subject, Kind, Client, _close) = (all, subject, kind, client, close);
        MayRead = subject.CreatedAt is not null;
        Ended = _ended.Token;
    }

    public LiveKind Kind { get; }

    public LiveClient Client { get; }

    /// <summary>The connections of the same session; it is another one once the session has another id. The registry's to set.</summary>
    public LiveGroup? Group { get; set; }

    public CancellationToken Ended { get; }

    /// <summary>Whether the request that opened it had loaded its session, and so was found to be its browser's.</summary>
    public bool MayRead { get; }

    /// <summary>Whether a session that is there is still the connection's. Under the registry's lock. The first answer is believed where Redis was away when it was opened.</summary>
    public bool Belongs(long createdAt, string? userId)
    {
        if (_subject.CreatedAt is null)
        {
            _subject = _subject with { CreatedAt = createdAt, UserId = userId };
        }

        return _subject.CreatedAt == createdAt && _subject.UserId == userId;
    }

    /// <summary>Whether the session that was created then is the connection's, whoever's it is now.</summary>
    public bool IsOf(long createdAt) => _subject.CreatedAt == createdAt;

    /// <summary>Its session is over.</summary>
    public void Close()
    {
        lock (_closing)
        {
            if (_isDisposed)
            {
                // What it was made of may be another connection's by now.
                return;
            }

            _close();
        }

        // Calls what the application has registered.
        _ended.Cancel();
    }

    /// <summary>There was traffic.</summary>
    public void Used() => _all.Used(this);

    /// <summary>It is not open any more.</summary>
    public void Dispose()
    {
        _all.Leave(this);
        lock (_closing)
        {
            _isDisposed = true;
        }
    }
}

/// <summary>What a live connection is.</summary>
internal enum LiveKind
{
    Hub,
    Circuit,
    Request,
}

/// <summary>Who it is from, for the heartbeat that it causes.</summary>
internal readonly record struct LiveClient(string Address, string UserAgent);
