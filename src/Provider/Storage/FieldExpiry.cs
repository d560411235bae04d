using RedisSessions.Redis;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Storage;

/// <summary>
/// Whether the server lets fields of a hash expire by themselves (HPEXPIRE). Asked when first needed, and then known; where it cannot be asked now, the script tells, before
/// it writes anything.
/// </summary>
internal sealed class FieldExpiry(RedisConnection connection, SessionKeys keys)
{
    private const string Command = "HPEXPIRE";

    // Nobody's: of a field that never is, of a session that never is.
    private readonly object[] _question = [(RedisKey)keys.Session(Guid.Empty), "1", "FIELDS", "1", "@"];

    private volatile bool _isKnown;

    /// <summary>For who cannot await: the client wakes the waiting thread itself.</summary>
    /// <exception cref="NotSupportedException">The server, or this user of it, cannot.</exception>
    public void Require()
    {
        if (_isKnown || connection.Database is not { } database)
        {
            return;
        }

        try
        {
            database.Execute(Command, _question);
            _isKnown = true;
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            if (RefusalOf(exception) is { } refusal)
            {
                throw refusal;
            }
        }
    }

    /// <summary>As <see cref="Require"/>; what else is wrong is thrown, too.</summary>
    public async Task RequireAsync()
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        try
        {
            await database.ExecuteAsync(Command, _question).ConfigureAwait(false);
            _isKnown = true;
        }
        catch (RedisServerException exception) when (RefusalOf(exception) is { } refusal)
        {
            throw refusal;
        }
    }

    /// <summary>What a commit that lets a field expire throws in place of this; null for this itself.</summary>
    public NotSupportedException? RefusalOf(Exception exception)
    {
        if (exception is not RedisServerException
            || !(exception.Message.StartsWith(CommitScript.NoFieldExpiry, StringComparison.Ordinal)
                || exception.Message.Contains("unknown command", StringComparison.OrdinalIgnoreCase)
                || exception.Message.StartsWith("NOPERM", StringComparison.Ordinal)))
        {
            return null;
        }

        _isKnown = false;
        return new NotSupportedException(
            $"A session's value cannot have a lifetime of its own here: the server, or this user of it, has no {Command} (\"{exception.Message}\"). Use Redis 7.4 or later or another server that has it, or set the value without a lifetime.",
            exception);
    }
}
