using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Session;
using StackExchange.Redis;

namespace RedisSessions.Benchmarks.Contenders;

/// <summary>The limit: one bare PING where a store would read, one where it would write, and the data in memory.</summary>
public sealed class PingSessionStore(IDatabase database) : ISessionStore
{
    private static readonly Dictionary<string, byte[]> Data = new() { ["name"] = "Ada Lovelace"u8.ToArray(), ["count"] = [0, 0, 0, 1] };

    public ISession Create(string sessionKey, TimeSpan idleTimeout, TimeSpan ioTimeout, Func<bool> tryEstablishSession, bool isNewSessionKey) =>
        new PingSession(database, sessionKey, tryEstablishSession);

    private sealed class PingSession(IDatabase database, string id, Func<bool> tryEstablish) : ISession
    {
        private bool _loaded;
        private bool _changed;

        public bool IsAvailable => true;

        public string Id => id;

        public IEnumerable<string> Keys => Data.Keys;

        public async Task LoadAsync(CancellationToken cancellationToken = default)
        {
            if (!_loaded)
            {
                await database.PingAsync().ConfigureAwait(false);
                _loaded = true;
            }
        }

        public Task CommitAsync(CancellationToken cancellationToken = default) => _changed ? database.PingAsync() : Task.CompletedTask;

        public bool TryGetValue(string key, [NotNullWhen(true)] out byte[]? value)
        {
            if (!_loaded)
            {
                database.Ping();
                _loaded = true;
            }

            return Data.TryGetValue(key, out value);
        }

        public void Set(string key, byte[] value) => _changed = tryEstablish();

        public void Remove(string key) => _changed = true;

        public void Clear() => _changed = true;
    }
}
