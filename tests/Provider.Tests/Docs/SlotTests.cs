using System.Globalization;
using RedisSessions.Storage;

namespace RedisSessions.Tests.Docs;

/// <summary>How keys spread over a cluster: the table in docs/scale.md is what comes out here.</summary>
public sealed class SlotTests
{
    private const int Slots = 16_384;
    private const int Sessions = 1_000_000;
    private const int Shards = 16;
    private static readonly int[] Masters = [3, 6, 12, 24, 48];

    private static readonly int[] Crcs = [.. Enumerable.Range(0, 256).Select(static value =>
    {
        var crc = value << 8;
        for (var bit = 0; bit < 8; bit++)
        {
            crc = (crc & 0x8000) != 0 ? ((crc << 1) ^ 0x1021) & 0xFFFF : (crc << 1) & 0xFFFF;
        }

        return crc;
    })];

    // CRC16 (XMODEM) of what is in the braces, as the cluster's specification has it.
    private static int SlotOf(string key)
    {
        var (begin, crc) = (key.IndexOf('{', StringComparison.Ordinal), 0);
        var end = begin < 0 ? -1 : key.IndexOf('}', begin + 1);
        foreach (var character in end > begin + 1 ? key.AsSpan(begin + 1, end - begin - 1) : key.AsSpan())
        {
            crc = ((crc << 8) & 0xFFFF) ^ Crcs[((crc >> 8) ^ character) & 0xFF];
        }

        return crc % Slots;
    }

    private static int[] Spread(IEnumerable<int> slots, int masters)
    {
        var counts = new int[masters];
        foreach (var slot in slots)
        {
            counts[slot * masters / Slots]++;
        }

        return counts;
    }

    [Fact]
    public void The_slot_is_the_clusters()
    {
        // From the specification, and from CLUSTER KEYSLOT.
        Assert.Equal(0x31C3, SlotOf("123456789"));
        Assert.Equal(SlotOf("user1000"), SlotOf("{user1000}.following"));
        Assert.Equal(SlotOf("session:moved:{c30dcd9d-850f-0754-997c-3fbbd108bfd0}"), SlotOf("session:{c30dcd9d-850f-0754-997c-3fbbd108bfd0}"));
    }

    [Fact]
    public void The_table_in_the_documentation_is_what_comes_out()
    {
        var (keys, random, bytes) = (new SessionKeys("session:"), new Random(1), new byte[16]);
        var sessions = new int[Sessions];
        for (var i = 0; i < Sessions; i++)
        {
            random.NextBytes(bytes);
            sessions[i] = SlotOf(keys.Session(new Guid(bytes)));
        }

        Assert.All(Masters, masters => Assert.InRange(Spread(sessions, masters).Max() * masters / (double)Sessions, 1, 1.05));
        string[] table =
        [
            "| masters | sessions on the fullest, to the average | parts of the users: most on one master, masters with none | of the live sessions (analytics) | of what is watched (lifecycle) |",
            "|---|---|---|---|---|",
            .. Masters.Select(masters => string.Create(
                CultureInfo.InvariantCulture,
                $"| {masters} | {Spread(sessions, masters).Max() * masters / (double)Sessions:0.000} | {Parts(i => $"session:users:{i}", masters)} | {Parts(i => $"session:stats:{{live{i}}}", masters)} | {Parts(i => $"session:watch:{{{i}}}", masters)} |")),
        ];
        Assert.Contains($"<!-- slots -->\n{string.Join('\n', table)}\n<!-- /slots -->", RepositoryRoot.Read("docs", "scale.md").ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }

    private static string Parts(Func<int, string> nameOf, int masters)
    {
        var counts = Spread(Enumerable.Range(0, Shards).Select(nameOf).Select(SlotOf), masters);
        return $"{counts.Max()}, {counts.Count(count => count == 0)}";
    }
}
