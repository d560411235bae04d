using Microsoft.AspNetCore.Http;
using RedisSessions.Sessions;

namespace RedisSessions.Live;

/// <inheritdoc cref="ILiveSession"/>
internal sealed class LiveSessionAccessor(LiveConnections connections, IHttpContextAccessor contexts) : ILiveSession
{
    private LiveConnection? _connection;
    private bool _isLive;

    public CancellationToken Ended => _connection?.Ended ?? CancellationToken.None;

    /// <summary>From here on, this is a live connection's; null for one that belongs to no session.</summary>
    public void Become(LiveConnection? connection) => (_connection, _isLive) = (connection, true);

    public async Task<ISession?> LoadAsync(CancellationToken cancellationToken)
    {
        if (_isLive)
        {
            return _connection is null ? null : await connections.LoadAsync(_connection, cancellationToken).ConfigureAwait(false);
        }

        if (contexts.HttpContext?.Features.Get<RequestSession>()?.Session is not { } session)
        {
            return null;
        }

        await session.LoadAsync(cancellationToken).ConfigureAwait(false);
        return session;
    }
}
