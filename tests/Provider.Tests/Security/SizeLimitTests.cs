using System.Text;

namespace RedisSessions.Tests.Security;

/// <summary>
/// What counts against the limits, change by change, against a plain count of everything: a running total must agree with it
/// after whatever order of changes, commits and loads.
/// </summary>
public abstract class SizeLimitTests(RedisServer server) : ServerTest(server)
{
    private const int MostFields = 6;
    private const int MostBytes = 120;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_value_is_refused_exactly_where_a_count_of_all_fields_says_so(int seed)
    {
        var site = await StartAsync(addOns: builder => builder.AddSecurity(o => (o.MaxFieldCount, o.MaxSessionSize) = (MostFields, MostBytes)));
        var random = new Random(seed);
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        var model = new Dictionary<string, int>();
        var isStored = false;
        for (var step = 0; step < 600; step++)
        {
            var key = random.Next(4) == 0 ? $"ключ{random.Next(4)}" : $"k{random.Next(8)}";
            switch (random.Next(20))
            {
                case < 12:
                    var bytes = random.Next(40);
                    var others = model.Where(field => field.Key != key).ToArray();
                    var fits = others.Length + 1 <= MostFields
                        && others.Sum(field => Encoding.UTF8.GetByteCount(field.Key) + field.Value) + Encoding.UTF8.GetByteCount(key) + bytes <= MostBytes;
                    Assert.True(fits == (Record.Exception(() => session.Set(key, new byte[bytes])) is null), $"Step {step}: {key} of {bytes} bytes.");
                    if (fits)
                    {
                        model[key] = bytes;
                    }

                    break;
                case < 16:
                    session.Remove(key);
                    model.Remove(key);
                    break;
                case 16 when random.Next(3) == 0:
                    session.Clear();
                    model.Clear();
                    break;
                case < 18:
                    await session.CommitAsync();
                    isStored |= model.Count > 0;
                    break;
                case 18 when isStored:
                    await session.CommitAsync();
                    session = Open(site, secret);
                    break;
            }

            Assert.Equal(model.Keys.Order(StringComparer.Ordinal), session.Keys.Order(StringComparer.Ordinal));
        }
    }
}

public sealed class SizeLimitsOnGarnet(InProcessGarnet server) : SizeLimitTests(server);

public sealed class SizeLimitsOnRedis(LocalRedis server) : SizeLimitTests(server);

public sealed class SizeLimitsInContainer(ContainerRedis server) : SizeLimitTests(server);

public sealed class SizeLimitsOnGivenServer(GivenRedis server) : SizeLimitTests(server);
