using System.Net;
using Microsoft.AspNetCore.Session;
using RedisSessions.Sessions;

namespace RedisSessions.Tests.Sessions;

/// <summary>Walks the table of states in src/Provider/README.md, cell by cell: each cell's words are a check here.</summary>
public abstract class StateTests(RedisServer server) : ServerTest(server)
{
    private static readonly string[] States = ["New", "Loaded", "Absent", "Unavailable", "Gone", "InMemory"];

    private Site _site = null!;

    [Fact]
    public async Task Every_member_does_in_every_state_what_the_table_says()
    {
        _site = await StartAsync(addOns: builder => builder.AddSecurity(o => o.MaxCreationsPerMinute = 1));
        var cells = 0;
        foreach (var row in Rows())
        {
            for (var i = 0; i < States.Length; i++)
            {
                var held = await EnterAsync(States[i]);
                await CheckAsync(row[0], row[i + 1], held, $"{row[0]} while {States[i]}: {row[i + 1]}");
                cells++;
                if (States[i] == "Loaded")
                {
                    // The same by a session that nobody has waited for.
                    held = await EnterAsync("Loaded", wait: false);
                    await CheckAsync(row[0], row[i + 1], held, $"{row[0]} while Loading: {row[i + 1]}");
                }
            }
        }

        Assert.Equal(14 * States.Length, cells);
    }

    private static IEnumerable<string[]> Rows()
    {
        var lines = RepositoryRoot.Read("src", "Provider", "README.md").Split('\n');
        var header = Array.FindIndex(lines, line => line.StartsWith("| member |", StringComparison.Ordinal));
        Assert.Equal(["member", .. States], Cells(lines[header]));
        return lines.Skip(header + 2).TakeWhile(line => line.StartsWith('|')).Select(Cells);

        static string[] Cells(string line) => [.. line.Trim('|', '\r').Split('|').Select(cell => cell.Trim())];
    }

    /// <summary>A session in this state. Where something is stored that is <c>stored</c>, and where the request changed something, <c>own</c>.</summary>
    private async Task<Held> EnterAsync(string state, bool wait = true)
    {
        var database = await DatabaseAsync();
        if (state is "Loaded" or "Gone")
        {
            var created = await _site.Sessions.CreateAsync([new("stored", [1])]);
            var held = Begin(created.SecretKey, isNew: false);
            if (wait)
            {
                await held.Session.LoadAsync();
            }

            if (state == "Gone")
            {
                held.Session.Set("own", [2]);
                await _site.Sessions.DestroyAsync(created.Id);
                await held.Session.CommitAsync();
            }

            Assert.Equal(wait ? state : "Loading", held.Session.State.ToString());
            return held;
        }

        var (isNew, other) = (state is "New" or "InMemory", Begin(NewSecret(), state is "New" or "InMemory"));
        switch (state)
        {
            case "Absent":
                await other.Session.LoadAsync();
                break;
            case "Unavailable":
                other = Begin(NewSecret(), isNew: false, before: id => database.StringSet(KeyOf(id), "not ours", TimeSpan.FromMinutes(1)));
                Assert.False(other.Session.IsAvailable);
                break;
            case "InMemory":
                // The second from this address within a minute; or the third, where the minute turned.
                for (var i = 0; i < 3 && other.Session.State != SessionStateKind.InMemory; i++)
                {
                    other = Begin(NewSecret(), isNew, address: "192.0.2.7");
                    other.Session.Set("own", [2]);
                    await other.Session.CommitAsync();
                }

                break;
        }

        Assert.Equal(state, other.Session.State.ToString());
        return other;
    }

    private Held Begin(string secret, bool isNew, string? address = null, Action<string>? before = null)
    {
        before?.Invoke(RedisSessions.Storage.SessionId.Derive(secret).ToString());
        var context = new DefaultHttpContext { RequestServices = _site.Services };
        context.Connection.RemoteIpAddress = address is null ? new IPAddress(Random.Shared.NextInt64(1L << 32)) : IPAddress.Parse(address);
        if (!isNew)
        {
            context.Request.Headers.Cookie = $"{Browser.SessionCookie}={Fleet.CookieOf(secret)}";
        }

        var accessor = _site.Services.GetRequiredService<IHttpContextAccessor>();
        accessor.HttpContext = context;
        try
        {
            var session = _site.Services.GetRequiredService<ISessionStore>().Create(secret, TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(1), () => true, isNew);
            return new Held((RedisSession)session, secret);
        }
        finally
        {
            accessor.HttpContext = null;
        }
    }

    private async Task CheckAsync(string member, string words, Held held, string cell)
    {
        var (session, id) = (held.Session, held.Session.Identity.ToString());
        var state = session.State;
        switch ($"{member}: {words}")
        {
            case "`IsAvailable`: true":
                Assert.True(session.IsAvailable, cell);
                break;
            case "`IsAvailable`: false":
                Assert.False(session.IsAvailable, cell);
                break;
            case "`Id`: its id":
                Assert.Equal(id, session.Id);
                break;
            case "`Id`: empty":
                Assert.Equal("", session.Id);
                break;
            case "`Keys`, `TryGetValue`: own changes":
                session.Set("mine", [3]);
                Assert.DoesNotContain("stored", session.Keys);
                Assert.Contains("mine", session.Keys);
                Assert.Equal([3], session.Get("mine")!);
                break;
            case "`Keys`, `TryGetValue`: stored and own changes":
                session.Set("mine", [3]);
                Assert.Equal(["mine", "stored"], session.Keys.Order());
                Assert.Equal([1], session.Get("stored")!);
                Assert.Equal([3], session.Get("mine")!);
                break;
            case "`Keys`, `TryGetValue`: what it saw and own changes":
                Assert.Equal(["own", "stored"], session.Keys.Order());
                Assert.Equal([1], session.Get("stored")!);
                Assert.Equal([2], session.Get("own")!);
                break;
            case "`Keys`, `TryGetValue`: nothing":
                Assert.Empty(session.Keys);
                Assert.Null(session.Get("stored"));
                break;
            case "`Set`: recorded":
                session.Set("mine", [3]);
                await session.CommitAsync();
                Assert.Equal([3], (await _site.Sessions.GetFieldAsync(id, "mine"))!);
                break;
            case "`Remove`: recorded":
                session.Set("mine", [3]);
                session.Remove("stored");
                await session.CommitAsync();
                Assert.Equal(["mine"], (await _site.Sessions.GetFieldNamesAsync(id))!);
                break;
            case "`Clear`: recorded":
                session.Set("before", [3]);
                session.Clear();
                session.Set("mine", [3]);
                await session.CommitAsync();
                Assert.Equal(["mine"], (await _site.Sessions.GetFieldNamesAsync(id))!);
                break;
            case "`SetIdleTimeout`: recorded":
                session.SetIdleTimeout(TimeSpan.FromHours(9));
                session.Set("mine", [3]);
                await session.CommitAsync();
                Assert.True(await _site.Sessions.GetTimeToLiveAsync(id) > TimeSpan.FromHours(8.9), cell);
                break;
            case "`Set`: ignored" or "`Remove`: ignored" or "`Clear`: ignored" or "`SetIdleTimeout`: ignored":
                Change(session, member);
                Assert.Empty(session.Keys);
                await NothingIsWrittenAsync(session, held, cell);
                break;
            case "`Set`: seen here only":
                session.Set("mine", [3]);
                Assert.Equal([3], session.Get("mine")!);
                await NothingIsWrittenAsync(session, held, cell);
                break;
            case "`Remove`: seen here only":
                session.Remove("own");
                Assert.Null(session.Get("own"));
                await NothingIsWrittenAsync(session, held, cell);
                break;
            case "`Clear`: seen here only":
                session.Clear();
                Assert.Empty(session.Keys);
                await NothingIsWrittenAsync(session, held, cell);
                break;
            case "`SetIdleTimeout`: seen here only":
                session.SetIdleTimeout(TimeSpan.FromHours(9));
                Assert.Equal("32400000", session.GetMetadata(RedisSessions.Storage.FieldNames.IdleTimeout));
                await NothingIsWrittenAsync(session, held, cell);
                break;
            case "`LoadAsync`: nothing to do":
                await session.LoadAsync();
                Assert.True(session.IsLoaded, cell);
                break;
            case "`LoadAsync`: throws the reason":
                await Assert.ThrowsAsync<StackExchange.Redis.RedisServerException>(() => session.LoadAsync());
                break;
            case "`CommitAsync`: creates it" or "`CommitAsync`: writes the delta":
                session.Set("mine", [3]);
                await session.CommitAsync();
                Assert.Equal(SessionStateKind.Loaded, session.State);
                Assert.Equal([3], (await _site.Sessions.GetFieldAsync(id, "mine"))!);
                break;
            case "`CommitAsync`: nothing to do":
                await NothingIsWrittenAsync(session, held, cell);
                break;
            case "`RegenerateIdAsync`: nothing to do":
                await session.RegenerateIdAsync();
                Assert.Equal((id, state), (session.Identity.ToString(), session.State));
                break;
            case "`RegenerateIdAsync`: new id, with the commit":
                session.Set("mine", [3]);
                await session.RegenerateIdAsync();
                Assert.NotEqual(id, session.Id);
                Assert.False(await _site.Sessions.ExistsAsync(session.Id), cell);
                await session.CommitAsync();
                Assert.Equal([3], (await _site.Sessions.GetFieldAsync(session.Id, "mine"))!);
                Assert.Null(await _site.Sessions.GetFieldAsync(id, "mine"));
                break;
            case "`RegenerateIdAsync`: throws the reason":
                await Assert.ThrowsAsync<StackExchange.Redis.RedisServerException>(() => session.RegenerateIdAsync());
                break;
            case "`DestroyAsync`: New, other id" or "`DestroyAsync`: ended, then New, other id":
                await session.DestroyAsync();
                Assert.Equal((SessionStateKind.New, true), (session.State, session.IsAvailable));
                Assert.NotEqual(id, session.Id);
                Assert.Empty(session.Keys);
                Assert.False(await _site.Sessions.ExistsAsync(id), cell);
                session.Set("mine", [3]);
                await session.CommitAsync();
                Assert.False(await _site.Sessions.ExistsAsync(id), cell);
                break;
            case "`IncrementAsync`: creates it" or "`IncrementAsync`: adds on the server":
                Assert.Equal(2, await session.IncrementAsync("n", 2));
                Assert.Equal("2"u8.ToArray(), await _site.Sessions.GetFieldAsync(id, "n"));
                break;
            case "`IncrementAsync`: adds in memory":
                Assert.Equal(2, await session.IncrementAsync("n", 2));
                Assert.Equal(3, await session.IncrementAsync("n"));
                await NothingIsWrittenAsync(session, held, cell);
                break;
            case "`IncrementAsync`: throws the reason":
                await Assert.ThrowsAsync<StackExchange.Redis.RedisServerException>(() => session.IncrementAsync("n"));
                break;
            case "`IncrementAsync`: throws that it was destroyed":
                await Assert.ThrowsAsync<InvalidOperationException>(() => session.IncrementAsync("n"));
                break;
            case "`TakeAsync`: takes its own":
                session.Set("mine", [3]);
                Assert.Equal([3], (await session.TakeAsync("mine"))!);
                Assert.Null(session.Get("mine"));
                Assert.Null(await session.TakeAsync("stored"));
                break;
            case "`TakeAsync`: takes it on the server":
                Assert.Equal([1], (await session.TakeAsync("stored"))!);
                Assert.Null(await _site.Sessions.GetFieldAsync(id, "stored"));
                Assert.Null(session.Get("stored"));
                break;
            case "`TakeAsync`: throws the reason":
                await Assert.ThrowsAsync<StackExchange.Redis.RedisServerException>(() => session.TakeAsync("stored"));
                break;
            case "`GetCreatedAt`: null":
                Assert.Null(session.GetCreatedAt());
                break;
            case "`GetCreatedAt`: its creation":
                Assert.NotNull(session.GetCreatedAt());
                break;
            default:
                Assert.Fail($"No check is written for the cell: {cell}");
                break;
        }
    }

    private static void Change(RedisSession session, string member)
    {
        switch (member)
        {
            case "`Set`":
                session.Set("mine", [3]);
                break;
            case "`Remove`":
                session.Remove("stored");
                break;
            case "`Clear`":
                session.Clear();
                break;
            default:
                session.SetIdleTimeout(TimeSpan.FromHours(9));
                break;
        }
    }

    private async Task NothingIsWrittenAsync(RedisSession session, Held held, string cell)
    {
        var database = await DatabaseAsync();
        var key = KeyOf(RedisSessions.Storage.SessionId.Derive(held.Secret).ToString());
        var before = await database.KeyDumpAsync(key);
        var state = session.State;
        await session.CommitAsync();
        Assert.Equal(before, await database.KeyDumpAsync(key));
        Assert.True(state == session.State, cell);
    }

    private sealed record Held(RedisSession Session, string Secret);
}

public sealed class StatesOnGarnet(InProcessGarnet server) : StateTests(server);

public sealed class StatesOnRedis(LocalRedis server) : StateTests(server);
