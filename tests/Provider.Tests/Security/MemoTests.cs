using RedisSessions.Security;

namespace RedisSessions.Tests.Security;

public sealed class MemoTests
{
    private int _worked;

    private Memo NewMemo() => new(text =>
    {
        _worked++;
        return text.ToUpperInvariant();
    });

    [Fact]
    public void What_was_worked_out_is_remembered()
    {
        var memo = NewMemo();
        Assert.Equal(["A", "A", "B", "A"], new[] { "a", "a", "b", "a" }.Select(memo.Of));
        Assert.Equal(2, _worked);
    }

    [Fact]
    public void Nobody_fills_the_memory_with_ever_new_texts()
    {
        var memo = NewMemo();
        for (var i = 0; i <= 1_000; i++)
        {
            Assert.Equal($"T{i}", memo.Of($"t{i}"));
        }

        // All is forgotten, and remembered anew.
        memo.Of("t1000");
        memo.Of("t1000");
        Assert.Equal(1_002, _worked);
    }

    [Theory]
    [InlineData(512, 1)]
    [InlineData(513, 2)]
    public void Nor_with_long_ones(int length, int worked)
    {
        var memo = NewMemo();
        memo.Of(new string('a', length));
        memo.Of(new string('a', length));
        Assert.Equal(worked, _worked);
    }
}
