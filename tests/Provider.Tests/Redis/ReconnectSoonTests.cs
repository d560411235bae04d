using RedisSessions.Redis;

namespace RedisSessions.Tests.Redis;

public sealed class ReconnectSoonTests
{
    /// <summary>Whether it tries again, or gives up an attempt that is under way, when the last one began so long ago.</summary>
    private static bool Tries(int milliseconds, int count = 0, params long[] connects)
    {
        var policy = new ReconnectSoon();
        foreach (var connect in connects)
        {
            policy.Note(connect);
        }

        return policy.ShouldRetry(count, milliseconds);
    }

    [Fact]
    public void After_a_tenth_of_a_second_where_connecting_is_quick() => Assert.Equal((false, true), (Tries(99, connects: 0), Tries(100, connects: 0)));

    [Fact]
    public void A_little_later_the_longer_it_fails_and_never_later_than_half_a_second() =>
        Assert.Equal((false, true, true), (Tries(150, 10, 0), Tries(200, 10, 0), Tries(500, 10_000, 0)));

    [Fact]
    public void An_attempt_over_a_slow_line_is_given_its_time() => Assert.Equal((false, true), (Tries(1_000, 0, 200), Tries(1_100, 0, 200)));

    [Fact]
    public void Half_a_second_where_nothing_is_known() => Assert.Equal((false, true), (Tries(499), Tries(500)));

    [Fact]
    public void One_slow_attempt_is_forgotten() => Assert.True(Tries(200, 0, [400, .. Enumerable.Repeat(0L, 20)]));
}
