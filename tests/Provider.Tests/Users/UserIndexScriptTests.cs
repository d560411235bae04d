using RedisSessions.Redis;
using RedisSessions.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Users;

/// <summary>
/// What the scripts of the index answer and leave in each of their cases, which requests come to only in a race: entries at their very
/// time, a revocation between two steps of a sign-in, more entries past their time than one reader looks after.
/// </summary>
public abstract class UserIndexScriptTests(RedisServer server) : ServerTest(server)
{
    private const long Now = 1_700_000_000_000;
    private const long Ends = Now + 1_200_000;
    private const string Before = "1-a-revoked";
    private const string Since = "2-b-signed-out";
    private static readonly Guid Own = new("00000000-0000-0000-0000-000000000001");
    private static readonly Guid Old = new("00000000-0000-0000-0000-000000000002");
    private static readonly Guid First = new("00000000-0000-0000-0000-00000000000a");
    private static readonly Guid Second = new("00000000-0000-0000-0000-00000000000b");
    private static readonly Guid Third = new("00000000-0000-0000-0000-00000000000c");

    private string Used => $"{Fleet.Prefix}user:{{ada}}";

    private string Over => Used + ":over";

    private string Revoked => Used + ":revoked";

    /// <summary>Entries by last use; each lives, but for what is said.</summary>
    private async Task<IDatabase> GivenAsync(params (Guid Id, long Ends)[] entries)
    {
        var database = await DatabaseAsync();
        await database.KeyDeleteAsync([Used, Over, Revoked]);
        foreach (var (i, (id, ends)) in entries.Index())
        {
            await database.SortedSetAddAsync(Over, id.ToString(), ends);
            if (ends != 0)
            {
                // What was evicted does not count any more.
                await database.SortedSetAddAsync(Used, id.ToString(), Now - 1_000 + i);
            }
        }

        return database;
    }

    private async Task<(EnterOutcome Outcome, string[] Ids)> EnterAsync(
        Guid? former = null, string? revocation = null, int limit = 0, bool rejects = false, bool isPatient = true)
    {
        var arguments = UserIndexScripts.EnterArguments(Now, Ends, new UserEntry(Own, TimeSpan.FromMinutes(20), revocation), former, limit, rejects, isPatient);
        var (outcome, ids) = UserIndexScripts.EnterReply(await UserIndexScripts.Enter.EvaluateAsync(await DatabaseAsync(), [Used, Over, Revoked], arguments));
        return (outcome, [.. ids.Select(id => (string)id!)]);
    }

    private async Task<RedisResult> EvaluateAsync(RedisScript script, params RedisValue[] values) => await script.EvaluateAsync(await DatabaseAsync(), [Used, Over, Revoked], values);

    private async Task<string[]> UsedAsync() => [.. (await (await DatabaseAsync()).SortedSetRangeByRankAsync(Used)).Select(id => (string)id!)];

    private static string[] Texts(params Guid[] ids) => [.. ids.Select(id => id.ToString())];

    private async Task<TimeSpan> LeftAsync(string key) => (await (await DatabaseAsync()).KeyTimeToLiveAsync(key))!.Value;

    [Fact]
    public async Task Without_a_limit_every_session_enters_and_nobody_goes()
    {
        var database = await GivenAsync((First, Ends), (Second, Ends), (Third, Now - 1));
        Assert.Equal((EnterOutcome.Entered, 0), (await EnterAsync() is var (outcome, ids) ? outcome : default, ids.Length));
        Assert.Equal(Texts(First, Second, Third, Own), await UsedAsync());
        Assert.Equal((Now, Ends), (await database.SortedSetScoreAsync(Used, Own.ToString()), await database.SortedSetScoreAsync(Over, Own.ToString())));
    }

    /// <summary>What is just at its time is not past it, and what was evicted counts no more.</summary>
    [Fact]
    public async Task At_the_limit_the_least_recently_used_is_marked_to_go()
    {
        var database = await GivenAsync((First, Ends), (Second, Now), (Third, 0));
        var (outcome, ids) = await EnterAsync(limit: 2);
        Assert.Equal(EnterOutcome.Entered, outcome);
        Assert.Equal(Texts(First), ids);
        Assert.Equal(Texts(Second, Own), await UsedAsync());
        Assert.Equal(0, await database.SortedSetScoreAsync(Over, First.ToString()));

        // Once entered, it is refreshed, and takes nobody's place.
        (outcome, ids) = await EnterAsync(limit: 1);
        Assert.Equal((EnterOutcome.Entered, 0), (outcome, ids.Length));
        (outcome, _) = await EnterAsync(limit: 2, rejects: true);
        Assert.Equal(EnterOutcome.Entered, outcome);
    }

    [Fact]
    public async Task Before_anybody_goes_what_is_past_its_time_is_looked_after_unless_that_was_tried()
    {
        await GivenAsync((First, Ends), (Second, Now - 1));
        foreach (var rejects in new[] { false, true })
        {
            var (outcome, ids) = await EnterAsync(limit: 2, rejects: rejects);
            Assert.Equal(EnterOutcome.Overdue, outcome);
            Assert.Equal(Texts(Second), ids);
            Assert.Equal(Texts(First, Second), await UsedAsync());
        }

        Assert.Equal(EnterOutcome.Entered, (await EnterAsync(limit: 3)).Outcome);
        await GivenAsync((First, Ends), (Second, Now - 1));
        Assert.Equal(EnterOutcome.Full, (await EnterAsync(limit: 2, rejects: true, isPatient: false)).Outcome);
        Assert.Equal(Texts(First, Second), await UsedAsync());
        Assert.Equal(Texts(First), (await EnterAsync(limit: 2, isPatient: false)).Ids);

        // A hundred at a time, those that have been for longest first.
        await GivenAsync([.. Enumerable.Range(1, 150).Select(i => (new Guid(i, 0, 0, new byte[8]), Now - i))]);
        var late = (await EnterAsync(limit: 1)).Ids;
        Assert.Equal(100, late.Length);
        Assert.Equal(new Guid(150, 0, 0, new byte[8]).ToString(), late[0]);
        Assert.Equal(100, UserIndexScripts.CountReply(await EvaluateAsync(UserIndexScripts.Count, Now)).Overdue.Length);
        Assert.Equal(100, UserIndexScripts.PageReply(await EvaluateAsync(UserIndexScripts.Page, Now, 0, 9)).Overdue.Length);
    }

    /// <summary>A session counts as one with the id that it had, and that is not what goes for it.</summary>
    [Fact]
    public async Task Under_a_new_id_a_session_takes_no_second_place()
    {
        await GivenAsync((Old, Ends), (Second, Ends));
        Assert.Empty((await EnterAsync(former: Old, limit: 2)).Ids);
        await GivenAsync((Old, Ends), (Second, Ends));
        Assert.Equal(EnterOutcome.Entered, (await EnterAsync(former: Old, limit: 2, rejects: true)).Outcome);
        await GivenAsync((Old, Ends), (Second, Ends));
        Assert.Equal(Texts(Second), (await EnterAsync(former: Old, limit: 1)).Ids);

        // One that the index does not know has no place to give.
        await GivenAsync((First, Ends), (Second, Ends));
        Assert.Equal(Texts(First), (await EnterAsync(former: Old, limit: 2)).Ids);

        // As many as are too many.
        await GivenAsync((First, Ends), (Old, Ends), (Second, Ends), (Third, Ends));
        Assert.Equal(Texts(First, Second), (await EnterAsync(former: Old, limit: 2)).Ids);
    }

    [Fact]
    public async Task What_was_begun_before_a_revocation_enters_only_where_it_was_spared()
    {
        var database = await GivenAsync((Old, Ends));
        await EvaluateAsync(UserIndexScripts.MarkRevoked, Since, 60_000, First.ToString(), Second.ToString());
        foreach (var former in new Guid?[] { null, Old })
        {
            var (outcome, ids) = await EnterAsync(former, Before);
            Assert.Equal(EnterOutcome.Revoked, outcome);
            Assert.Equal([Since], ids);
        }

        Assert.Equal((2, SessionEndReason.SignedOut), (UserIndexScripts.TimeOf(Since), UserIndexScripts.ReasonOf(Since)));
        Assert.Equal((0, SessionEndReason.Revoked), (UserIndexScripts.TimeOf("x"), UserIndexScripts.ReasonOf("x")));
        Assert.Equal(EnterOutcome.Revoked, (await EnterAsync()).Outcome);
        Assert.Equal(Texts(Old), await UsedAsync());
        Assert.Equal(EnterOutcome.Entered, (await EnterAsync(revocation: Since)).Outcome);

        // In the place of what was spared, and spared from then on itself.
        Assert.Equal(EnterOutcome.Entered, (await EnterAsync(Second, Before)).Outcome);
        Assert.True(await database.HashExistsAsync(Revoked, Own.ToString()));
        Assert.Equal(EnterOutcome.Entered, (await EnterAsync(Old, Before)).Outcome);

        // The next revocation spares nobody of that.
        await EvaluateAsync(UserIndexScripts.MarkRevoked, "3-c-revoked", 60_000);
        Assert.Equal(EnterOutcome.Revoked, (await EnterAsync(Second, Since)).Outcome);
        Assert.Equal(1, await database.HashLengthAsync(Revoked));

        // Without any, nothing keeps out what knows of an old one.
        await GivenAsync();
        Assert.Equal(EnterOutcome.Entered, (await EnterAsync(revocation: Before)).Outcome);
    }

    [Fact]
    public async Task What_was_evicted_does_not_enter_again_and_is_not_prolonged()
    {
        var database = await GivenAsync((Own, 0), (First, Now - 1), (Second, Ends));
        var (outcome, ids) = await EnterAsync();
        Assert.Equal(EnterOutcome.Revoked, outcome);
        Assert.Equal(SessionEndReason.Evicted, UserIndexScripts.ReasonOf(Assert.Single(ids)));
        var doomed = (RedisValue[])(await EvaluateAsync(UserIndexScripts.Prolong, Now, Own.ToString(), Ends, First.ToString(), Ends + 1, Third.ToString(), Ends))!;
        Assert.Equal([Own.ToString()], doomed.Select(id => (string)id!));
        Assert.Equal(
            [0d, Ends + 1, Ends, null],
            [.. await Task.WhenAll(((Guid[])[Own, First, Second, Third]).Select(id => database.SortedSetScoreAsync(Over, id.ToString())))]);
        Assert.InRange(await LeftAsync(Over), TimeSpan.FromMinutes(19), TimeSpan.FromMinutes(20.1));

        // Where the index knows of none, there is none to prolong.
        await GivenAsync();
        Assert.Empty((RedisValue[])(await EvaluateAsync(UserIndexScripts.Prolong, Now, First.ToString(), Ends))!);
        Assert.False(await database.KeyExistsAsync(Over));
    }

    /// <summary>A session may end while its sight is on its way, and another begin under its id.</summary>
    [Fact]
    public async Task Where_a_session_was_last_seen_is_noted_with_that_session()
    {
        var (database, key) = (await DatabaseAsync(), KeyOf(Own.ToString()));
        await database.HashSetAsync(key, [new("@c", Now), new("@v", 5)]);
        foreach (var (created, seen) in new[] { (Now - 1, ""), (Now, "192.0.2.1") })
        {
            await UserIndexScripts.NoteSight.EvaluateAsync(database, [key], [created, "@na", "192.0.2.1"]);
            Assert.Equal(seen, $"{await database.HashGetAsync(key, "@na")}");
        }
    }

    /// <summary>As the entry that lives longest, and for a minute at least; whatever step was the last.</summary>
    [Fact]
    public async Task The_keys_go_when_their_last_entry_does()
    {
        await GivenAsync((First, Ends + 1_200_000), (Second, Ends));
        await EnterAsync();
        await BothLeftAsync(40);
        await EvaluateAsync(UserIndexScripts.Remove, Now, First.ToString(), Second.ToString());
        Assert.Equal(Texts(Own), await UsedAsync());
        await BothLeftAsync(20);
        await EvaluateAsync(UserIndexScripts.Prolong, Now, Own.ToString(), Now + 3_000_000);
        await BothLeftAsync(50);
        await EvaluateAsync(UserIndexScripts.Prolong, Now, Own.ToString(), Now + 1);
        await BothLeftAsync(1);
        await EvaluateAsync(UserIndexScripts.Remove, Now, Own.ToString());
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(Over));

        async Task BothLeftAsync(double minutes)
        {
            foreach (var key in new[] { Used, Over })
            {
                Assert.InRange(await LeftAsync(key), TimeSpan.FromMinutes(minutes - 0.5), TimeSpan.FromMinutes(minutes));
            }
        }
    }

    [Fact]
    public async Task Readers_are_told_what_is_past_its_time_and_what_was_evicted()
    {
        await GivenAsync((First, Ends), (Second, Now - 1), (Third, 0), (Old, Now));
        var (count, overdue) = UserIndexScripts.CountReply(await EvaluateAsync(UserIndexScripts.Count, Now));
        Assert.Equal(3, count);
        Assert.Equal(Texts(Third, Second), overdue.Select(id => (string)id!));
        (var page, overdue) = UserIndexScripts.PageReply(await EvaluateAsync(UserIndexScripts.Page, Now, 1, 1));
        Assert.Equal(Texts(Second), page.Select(id => (string)id!));
        Assert.Equal(Texts(Third, Second), overdue.Select(id => (string)id!));
    }
}

public sealed class UserIndexScriptsOnGarnet(InProcessGarnet server) : UserIndexScriptTests(server);

public sealed class UserIndexScriptsOnRedis(LocalRedis server) : UserIndexScriptTests(server);
