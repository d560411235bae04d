using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection.Repositories;
using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>Data Protection's keys in a Redis list, as the official package keeps them: read whole, only ever added to, and without a TTL.</summary>
internal sealed class RedisXmlRepository(RedisConnection connection, RedisKey key) : IXmlRepository
{
    // The interface knows no other way, and is called when a key ring is read: at start-up and once a day.
    private IDatabase Database => connection.GetDatabaseAsync().GetAwaiter().GetResult();

    public IReadOnlyCollection<XElement> GetAllElements() =>
        Array.ConvertAll(Database.ListRange(key, flags: CommandFlags.DemandMaster), static element => XElement.Parse(element!));

    public void StoreElement(XElement element, string friendlyName) => Database.ListRightPush(key, element.ToString(SaveOptions.DisableFormatting));
}
