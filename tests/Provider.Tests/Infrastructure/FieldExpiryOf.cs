using StackExchange.Redis;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Whether a server lets fields of a hash expire: Redis from 7.4 on, Garnet, Valkey 9.</summary>
public static class FieldExpiryOf
{
    public static async Task<bool> HasAsync(RedisServer server)
    {
        try
        {
            await (await server.AdminAsync()).GetDatabase().ExecuteAsync("HPEXPIRE", (RedisKey)"nobody's", "1", "FIELDS", "1", "nothing");
            return true;
        }
        catch (RedisServerException exception) when (exception.Message.Contains("unknown command", StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }
    }

    public static async Task SkipUnlessAsync(RedisServer server) => Assert.SkipUnless(await HasAsync(server), "This server has no HPEXPIRE (Redis before 7.4).");
}
