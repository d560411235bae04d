using Microsoft.Extensions.Time.Testing;
using RedisSessions.Sessions;

namespace RedisSessions.Tests.Sessions;

/// <summary>What was worked out lately is found for half a minute at least and a minute at most, and is bounded.</summary>
public sealed class RecentTests
{
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);
    private readonly Recent<string, string> _recent;

    public RecentTests() => _recent = new(_clock);

    [Fact]
    public void What_was_added_is_found_and_nothing_else()
    {
        _recent.Add("a", "1");
        Assert.Equal(("1", null), (_recent.Find("a"), _recent.Find("b")));
    }

    [Fact]
    public void Whenever_it_was_added_it_is_found_for_half_a_minute_and_not_after_a_minute_used_or_not()
    {
        for (var at = 0; at < 70; at++)
        {
            foreach (var step in new[] { 0.1, 1, 7.3, 29.9, 30, 31, 59.9, 60, 61, 90, 119, 36_000 })
            {
                var key = $"{at} {step}";
                _recent.Add(key, "1");
                for (var age = step; age < 200; age += step)
                {
                    _clock.Advance(TimeSpan.FromSeconds(step));
                    var isFound = _recent.Find(key) is not null;
                    Assert.True(age >= 30 || isFound, $"{key}: lost after {age} s");
                    Assert.True(age <= 60 || !isFound, $"{key}: found after {age} s");
                }

                _clock.Advance(TimeSpan.FromSeconds(1.01));
            }
        }
    }

    [Fact]
    public void The_latest_are_found_and_not_more_than_twice_as_many()
    {
        const int Many = 100_000;
        for (var i = 0; i < Many; i++)
        {
            _recent.Add($"{i}", "1");
        }

        var found = Enumerable.Range(0, Many).Where(i => _recent.Find($"{i}") is not null).ToArray();
        Assert.InRange(found.Length, Recent<string, string>.Capacity, 2 * Recent<string, string>.Capacity);
        Assert.Equal(Enumerable.Range(Many - found.Length, found.Length), found);
        Assert.InRange(Recent<string, string>.Capacity, 10_000, 20_000);
    }

    [Fact]
    public void What_is_not_found_any_more_is_nobodys()
    {
        var value = AddOne();
        for (var period = 0; period < 3; period++)
        {
            _clock.Advance(TimeSpan.FromSeconds(30));
            _recent.Find("b");
        }

        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.False(value.TryGetTarget(out _));
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private WeakReference<string> AddOne()
    {
        var value = new string('1', 10);
        _recent.Add("a", value);
        return new WeakReference<string>(value);
    }

    [Fact]
    public async Task Threads_that_add_at_once_lose_nothing_of_the_latest_and_keep_no_more()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(() =>
        {
            for (var i = 0; i < 10_000; i++)
            {
                _recent.Add($"{thread} {i}", "1");
            }
        })));
        Assert.InRange(Enumerable.Range(0, 8).Sum(thread => Enumerable.Range(0, 10_000).Count(i => _recent.Find($"{thread} {i}") is not null)), 1, (2 * Recent<string, string>.Capacity) + 16);
    }
}
