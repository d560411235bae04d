using RedisSessions.Storage;

namespace RedisSessions.Tests.Storage;

/// <summary>What may be dropped where it cannot be stored: what the library noted by itself, and not a word of anybody's beside it.</summary>
public sealed class SessionDeltaTests
{
    private static void Ask(SessionDelta delta, string what)
    {
        switch (what)
        {
            case "set":
                delta.Set("a", [1]);
                break;
            case "remove":
                delta.Remove("a");
                break;
            case "clear":
                delta.Clear();
                break;
            case "create":
                delta.Creates = true;
                break;
            case "another":
                delta.SetMetadata("@i", "1");
                break;
            default:
                delta.SetMetadata("@n", null);
                break;
        }
    }

    private static SessionDelta Noted()
    {
        var delta = new SessionDelta();
        delta.NoteMetadata("@n", "1");
        return delta;
    }

    [Fact]
    public void Notes_are_upkeep_and_nothing_is_not()
    {
        Assert.True(Noted().IsUpkeep);
        Assert.False(Noted().IsEmpty);
        Assert.False(new SessionDelta().IsUpkeep);
    }

    [Theory]
    [InlineData("set")]
    [InlineData("remove")]
    [InlineData("clear")]
    [InlineData("create")]
    [InlineData("another")]
    [InlineData("the same")]
    public void What_is_asked_for_is_no_upkeep_before_or_after_a_note(string what)
    {
        var (before, after, later, earlier) = (new SessionDelta(), Noted(), Noted(), new SessionDelta());
        Ask(before, what);
        before.NoteMetadata("@n", "1");
        Assert.False(before.IsUpkeep);
        Ask(after, what);
        Assert.False(after.IsUpkeep);

        // A commit that failed takes what came since, and the other way round.
        var since = new SessionDelta();
        Ask(since, what);
        later.Add(since);
        Assert.False(later.IsUpkeep);
        Ask(earlier, what);
        earlier.Add(Noted());
        Assert.False(earlier.IsUpkeep);
    }

    [Fact]
    public void Notes_of_two_commits_are_upkeep()
    {
        var delta = Noted();
        delta.Add(Noted());
        Assert.True(delta.IsUpkeep);
    }
}
