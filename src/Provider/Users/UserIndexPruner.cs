using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <summary>
/// Prunes the index now and then, one server of the fleet at a time: whoever sets the lock prunes; the lock runs out by
/// itself before the next round, so that a server that dies holding it is only missed once.
/// </summary>
internal sealed class UserIndexPruner(
    IUserSessions users,
    RedisConnection connection,
    SessionKeys keys,
    SessionTimeouts timeouts,
    IOptions<UserIndexOptions> options,
    ILogger<UserIndexPruner> logger) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var interval = options.Value.PruneInterval;
        return interval <= TimeSpan.Zero
            ? Task.CompletedTask
            : Recurring.EveryAsync(interval, timeouts.Clock, token => PruneIfFirstAsync(interval, token), stoppingToken);
    }

    private async Task PruneIfFirstAsync(TimeSpan interval, CancellationToken stoppingToken)
    {
        try
        {
            var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
            if (await database.StringSetAsync($"{keys.Prefix}users:pruning", "", interval * 0.9, When.NotExists).ConfigureAwait(false))
            {
                logger.UserIndexPruned(await users.PruneAsync(stoppingToken).ConfigureAwait(false));
            }
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // Of whatever kind, the application's own connection factory included: no failure here is worth the host.
            logger.UserIndexNotPruned(exception);
        }
    }
}
