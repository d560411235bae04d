using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>
/// A Lua script, sent by its SHA-1 hash. The hash is computed here rather than asked from the server, so that the client's
/// own reply task can be handed out: a synchronous caller waits on that task with no continuation in between, which would
/// need the pool thread that a starved pool does not have.
/// </summary>
internal sealed class RedisScript(string source)
{
    private readonly byte[] _hash = SHA1.HashData(Encoding.UTF8.GetBytes(source));

    /// <summary>Sends the script by hash. The task fails with NOSCRIPT where the server does not know it: see <see cref="IsMissing"/>.</summary>
    public Task<RedisResult> SendByHash(IDatabaseAsync database, RedisKey[] keys, RedisValue[] values) =>
        database.ScriptEvaluateAsync(_hash, keys, values);

    /// <summary>Sends the script itself, which also makes its hash known to that server.</summary>
    public Task<RedisResult> SendSource(IDatabaseAsync database, RedisKey[] keys, RedisValue[] values) =>
        database.ScriptEvaluateAsync(source, keys, values, CommandFlags.NoScriptCache);

    /// <summary>As <see cref="SendSource"/>, for a caller that cannot await: the client wakes the waiting thread itself.</summary>
    public RedisResult EvaluateSource(IDatabase database, RedisKey[] keys, RedisValue[] values) =>
        database.ScriptEvaluate(source, keys, values, CommandFlags.NoScriptCache);

    /// <summary>As <see cref="EvaluateAsync"/>, for a caller that cannot await.</summary>
    public RedisResult Evaluate(IDatabase database, RedisKey[] keys, RedisValue[] values)
    {
        try
        {
            return database.ScriptEvaluate(_hash, keys, values);
        }
        catch (RedisServerException exception) when (IsMissing(exception))
        {
            return EvaluateSource(database, keys, values);
        }
    }

    /// <summary>Whether the server lost its script cache (a restart, a failover, SCRIPT FLUSH).</summary>
    public static bool IsMissing(Exception exception) =>
        exception is RedisServerException && exception.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal);

    /// <summary>One round trip; two on a server that does not know the script yet. What was refused for a moment is sent again (<see cref="Failover"/>).</summary>
    public Task<RedisResult> EvaluateAsync(IDatabaseAsync database, RedisKey[] keys, RedisValue[] values) =>
        EndAsync(SendByHash(database, keys, values), database, keys, values);

    /// <summary>The reply to what <see cref="SendByHash"/> sent; on a server that does not know the script, by its source.</summary>
    public Task<RedisResult> EndAsync(Task<RedisResult> sent, IDatabaseAsync database, RedisKey[] keys, RedisValue[] values, IBeforeAgain? before = null) =>
        sent.IsCompletedSuccessfully ? sent : AwaitAsync(sent, database, keys, values, before);

    private async Task<RedisResult> AwaitAsync(Task<RedisResult> sent, IDatabaseAsync database, RedisKey[] keys, RedisValue[] values, IBeforeAgain? before)
    {
        try
        {
            return await sent.ConfigureAwait(false);
        }
        catch (RedisServerException exception) when (IsMissing(exception))
        {
            sent = SendSource(database, keys, values);
        }
        catch (Exception exception) when (RedisAway.IsRefusedForNow(exception))
        {
            // Waited for below, where there is something to wait for.
        }

        return await (Failover.Of(database) is { } failover ? AwaitAsync(failover, sent, keys, values, before) : sent).ConfigureAwait(false);
    }

    // Apart, so that nothing is allocated for it where nothing fails.
    private Task<RedisResult> AwaitAsync(Failover failover, Task<RedisResult> sent, RedisKey[] keys, RedisValue[] values, IBeforeAgain? before) =>
        failover.EndAsync(sent, again => EvaluateAgainAsync(again, keys, values, before), RedisAway.IsRefusedForNow);

    private async Task<RedisResult> EvaluateAgainAsync(IDatabase database, RedisKey[] keys, RedisValue[] values, IBeforeAgain? before)
    {
        if (before is not null)
        {
            await before.SendAsync().ConfigureAwait(false);
        }

        try
        {
            return await SendByHash(database, keys, values).ConfigureAwait(false);
        }
        catch (RedisServerException exception) when (IsMissing(exception))
        {
            return await SendSource(database, keys, values).ConfigureAwait(false);
        }
    }

    /// <summary>As <see cref="EndAsync"/>, for a caller that cannot await.</summary>
    public RedisResult End(Task<RedisResult> sent, IDatabase database, RedisKey[] keys, RedisValue[] values)
    {
        try
        {
            return sent.GetAwaiter().GetResult();
        }
        catch (RedisServerException exception) when (IsMissing(exception))
        {
            return EvaluateSource(database, keys, values);
        }
    }

    /// <summary>Sends the script for a caller that may be able to await, or not: see <see cref="Call"/>.</summary>
    public Call Begin(IDatabaseAsync database, RedisKey[] keys, RedisValue[] values) => new(this, database, keys, values);

    /// <summary>One run of the script. Whoever ends it waits for, or awaits, what is pending, as often as there is something.</summary>
    internal sealed class Call(RedisScript script, IDatabaseAsync database, RedisKey[] keys, RedisValue[] values)
    {
        private bool _sentSource;
        private Task<RedisResult> _sent = script.SendByHash(database, keys, values);
        private Failover.Retry? _retry;

        /// <summary>The client's own task, so that waiting for it needs no other thread; or, where that was refused for a moment, until it may be sent again.</summary>
        public Task Pending => (Task?)_retry?.Pending ?? _sent;

        /// <summary>The reply, for a caller that can await.</summary>
        public Task<RedisResult> EndAsync(IBeforeAgain? before = null) => script.EndAsync(_sent, database, keys, values, before);

        /// <returns>False if it is on its way once more: wait for <see cref="Pending"/> again.</returns>
        public bool TryEnd([NotNullWhen(true)] out RedisResult? reply)
        {
            reply = null;
            if (_retry is { Pending: not null } retry)
            {
                database = retry.TakeDatabase();
                _sentSource = false;
                _sent = script.SendByHash(database, keys, values);
                return false;
            }

            if (_sent.Exception?.InnerException is { } failure)
            {
                if (!_sentSource && IsMissing(failure))
                {
                    _sentSource = true;
                    _sent = script.SendSource(database, keys, values);
                    return false;
                }

                if (RedisAway.IsRefusedForNow(failure) && (_retry ??= Failover.RetryOf(database)) is { IsOver: false })
                {
                    _retry!.Wait(failure);
                    return false;
                }
            }

            reply = _sent.GetAwaiter().GetResult();
            _retry?.Recovered();
            return true;
        }
    }
}
