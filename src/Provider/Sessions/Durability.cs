using System.Diagnostics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>What is to be on replicas before its caller goes on: each kind by itself, and those that ask for the same by one connection.</summary>
internal sealed class Durability : IHostedService, IDisposable, IAsyncDisposable
{
    private readonly List<ReplicaWaiter> _waiters = [];

    public Durability(
        RedisConnection connection, SessionKeys keys, SessionMetrics metrics, ReplicationState state, IOptions<RedisSessionOptions> options, IServiceProvider services, ILogger<Durability> logger)
    {
        var wait = options.Value.WaitForReplicas;
        Commits = Of(wait.Commits, "commit");
        SignIns = Of(wait.SignIns, "sign-in") ?? Commits;
        Revocations = Of(wait.Revocations, "revocation");

        DurableWrites? Of(ReplicaWaitOptions asked, string what)
        {
            if (!asked.IsOn)
            {
                return null;
            }

            var waiter = _waiters.Find(one => one.Replicas == asked.Replicas && one.IsOnDisk == asked.OnDisk && one.Timeout == asked.Timeout);
            if (waiter is null)
            {
                waiter = new ReplicaWaiter(connection, new RedisConnection(options, services), keys.Prefix, asked.Replicas, asked.OnDisk, asked.Timeout);
                _waiters.Add(waiter);
            }

            return new DurableWrites(waiter, what, metrics, state, logger);
        }
    }

    /// <summary>Null where nobody waits.</summary>
    public DurableWrites? Commits { get; }

    /// <summary>Null where nobody waits.</summary>
    public DurableWrites? SignIns { get; }

    /// <summary>Null where nobody waits.</summary>
    public DurableWrites? Revocations { get; }

    public Task StartAsync(CancellationToken cancellationToken) => Task.WhenAll(_waiters.Select(waiter => waiter.RequireAsync(cancellationToken)));

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _waiters.ForEach(static waiter => waiter.Dispose());

    public async ValueTask DisposeAsync()
    {
        foreach (var waiter in _waiters)
        {
            await waiter.DisposeAsync().ConfigureAwait(false);
        }
    }
}

/// <summary>Changes of one kind that are waited for.</summary>
internal sealed class DurableWrites(ReplicaWaiter waiter, string what, SessionMetrics metrics, ReplicationState state, ILogger logger)
{
    /// <summary>To be called before the first of them is sent.</summary>
    /// <param name="writes">Null where nobody waits.</param>
    /// <returns>Null where nobody waits.</returns>
    public static ValueTask<DurableChange?> BeginAsync(DurableWrites? writes) => writes is null ? default : writes.BeginAsync();

    private async ValueTask<DurableChange?> BeginAsync() => new(this, await waiter.BeginAsync().ConfigureAwait(false));

    /// <summary>Waits until replicas have what was changed.</summary>
    /// <exception cref="SessionNotReplicatedException">They do not have it in time.</exception>
    public async Task EndAsync(ReplicaWaiter.Scope scope)
    {
        var since = Stopwatch.GetTimestamp();
        var answer = await scope.EndAsync().ConfigureAwait(false);
        var kind = new KeyValuePair<string, object?>("redis_sessions.change", what);
        metrics.ReplicaWait.Record(Stopwatch.GetElapsedTime(since).TotalSeconds, kind);
        if (answer.IsReached)
        {
            state.Reached();
            return;
        }

        metrics.NotReplicated.Add(1, kind);
        state.NotReached();
        var exception = new SessionNotReplicatedException(what, waiter.Replicas, answer.Replicas, waiter.Timeout, answer.Failure);
        logger.NotReplicated(what, waiter.Replicas, answer.Replicas, answer.Failure);
        throw exception;
    }
}

/// <summary>What is being changed, and waited for.</summary>
internal sealed class DurableChange(DurableWrites writes, ReplicaWaiter.Scope scope)
{
    /// <summary>A key of this name was changed.</summary>
    public void Touch(string key) => scope.Touch(key);

    /// <summary>Waits until replicas have what was changed.</summary>
    /// <exception cref="SessionNotReplicatedException">They do not have it in time.</exception>
    public Task EndAsync() => writes.EndAsync(scope);

    /// <summary>As <see cref="EndAsync()"/>, of one key more.</summary>
    public Task EndAsync(string key)
    {
        Touch(key);
        return EndAsync();
    }
}
