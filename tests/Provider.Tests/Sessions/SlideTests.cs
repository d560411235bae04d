using Microsoft.Extensions.Time.Testing;
using RedisSessions.Sessions;

namespace RedisSessions.Tests.Sessions;

/// <summary>When a load slides the session or its heartbeat is due: not before its time, which would be a write to every replica, nor after it.</summary>
public abstract class SlideTests : ServerTest
{
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);

    protected SlideTests(RedisServer server)
        : base(server) => Fleet = new Fleet { Clock = _clock };

    private Task<Site> StartBeatingAsync(Heart heart, string? redis = null, TimeSpan? absolute = null) =>
        StartAsync(redis: redis, options: o => o.AbsoluteTimeout = absolute, addOns: builder => builder.Services.AddSingleton<SessionAddOn>(heart));

    /// <summary>What a server that has seen nothing of the session sends to load it, and whatever follows from that.</summary>
    private async Task<IReadOnlyList<string>> LoadedAfreshAsync(string secret, string id, Heart heart, TimeSpan? absolute = null)
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartBeatingAsync(heart, proxy.Address, absolute);
        await site.Sessions.ExistsAsync(id);
        var before = proxy.Snapshot();
        await Open(site, secret).LoadAsync();

        // Behind a slide, if one was sent.
        await site.Sessions.ExistsAsync(id);
        return [.. (proxy.Snapshot() - before).Commands];
    }

    private static async Task<(string Secret, string Id)> CreateAsync(Site site)
    {
        var created = await site.Sessions.CreateAsync([new("a", [1])]);
        return (created.SecretKey, created.Id);
    }

    private async Task SeenAsync(string id) => await Eventually.TrueAsync(
        async () => await (await DatabaseAsync()).HashGetAsync(KeyOf(id), "@l") == _clock.GetUtcNow().ToUnixTimeMilliseconds(),
        what: "the session was seen now");

    [Theory]
    [InlineData(0)]
    [InlineData(10)]
    [InlineData(300)]
    public async Task A_session_just_used_costs_another_server_nothing_but_its_reading(int heartbeat)
    {
        var heart = new Heart(TimeSpan.FromSeconds(heartbeat));
        var (secret, id) = await CreateAsync(await StartBeatingAsync(heart));
        await Open(await StartBeatingAsync(heart), secret).LoadAsync();
        await Eventually.TrueAsync(() => heartbeat == 0 || heart.Beats == 1, what: "the first heartbeat");
        Assert.Equal(["HGETALL", "PTTL", "EXISTS"], await LoadedAfreshAsync(secret, id, heart));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(300)]
    public async Task The_heartbeat_is_due_after_its_interval_with_or_without_a_copy_of_the_session(int heartbeat)
    {
        var interval = TimeSpan.FromSeconds(heartbeat);
        var heart = new Heart(interval);
        var site = await StartBeatingAsync(heart);
        var (secret, id) = await CreateAsync(site);
        await Open(site, secret).LoadAsync();
        await Eventually.TrueAsync(() => heart.Beats == 1, what: "the first heartbeat");

        _clock.Advance(interval - TimeSpan.FromMilliseconds(1));
        Assert.Equal(["HGETALL", "PTTL", "EXISTS"], await LoadedAfreshAsync(secret, id, heart));
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        await Open(await StartBeatingAsync(heart), secret).LoadAsync();
        await Eventually.TrueAsync(() => heart.Beats == 2, what: "the heartbeat of a server without a copy");
        _clock.Advance(interval);
        await Open(site, secret).LoadAsync();
        await Eventually.TrueAsync(() => heart.Beats == 3, what: "the heartbeat of a server with a copy");
        _clock.Advance(interval);
        await Open(site, secret).LoadAsync();
        await Eventually.TrueAsync(() => heart.Beats == 4, what: "the next one");
    }

    /// <summary>However rare the heartbeat is.</summary>
    [Fact]
    public async Task A_session_with_a_copy_slides_as_soon_as_it_may_have_less_than_its_idle_timeout_left()
    {
        var heart = new Heart(TimeSpan.FromMinutes(5));
        var site = await StartBeatingAsync(heart);
        var (secret, id) = await CreateAsync(site);
        await Open(site, secret).LoadAsync();
        await Eventually.TrueAsync(() => heart.Beats == 1, what: "the first heartbeat");
        for (var i = 0; i < 2; i++)
        {
            await (await DatabaseAsync()).KeyExpireAsync(KeyOf(id), TimeSpan.FromMinutes(19));
            _clock.Advance(TimeSpan.FromMinutes(1));
            await Open(site, secret).LoadAsync();
            await Eventually.TrueAsync(async () => await site.Sessions.GetTimeToLiveAsync(id) > TimeSpan.FromMinutes(20), what: "the session slid");
        }
    }

    [Fact]
    public async Task A_session_with_an_idle_timeout_of_its_own_slides_when_it_has_less_than_that_left()
    {
        var site = await StartAsync();
        var created = await site.Sessions.CreateAsync([new("a", [1])], TimeSpan.FromHours(3));
        await (await DatabaseAsync()).KeyExpireAsync(KeyOf(created.Id), TimeSpan.FromHours(1));
        await Open(await StartAsync(), created.SecretKey).LoadAsync();
        await Eventually.TrueAsync(async () => await site.Sessions.GetTimeToLiveAsync(created.Id) > TimeSpan.FromHours(3), what: "the session slid");
    }

    /// <summary>Its life does not tell any more when it was used, so that is noted, to within the precision.</summary>
    [Fact]
    public async Task In_the_last_stretch_before_the_absolute_timeout_a_use_is_noted_once_in_a_minute()
    {
        var absolute = TimeSpan.FromHours(1);
        var heart = new Heart(TimeSpan.Zero);
        var (secret, id) = await CreateAsync(await StartBeatingAsync(heart, absolute: absolute));
        _clock.Advance(TimeSpan.FromMinutes(40.5));
        await Open(await StartBeatingAsync(heart, absolute: absolute), secret).LoadAsync();
        await SeenAsync(id);

        _clock.Advance(TimeSpan.FromSeconds(50));
        Assert.Equal(["HGETALL", "PTTL", "EXISTS"], await LoadedAfreshAsync(secret, id, heart, absolute));
        _clock.Advance(TimeSpan.FromSeconds(10));
        await Open(await StartBeatingAsync(heart, absolute: absolute), secret).LoadAsync();
        await SeenAsync(id);
    }

    [Fact]
    public async Task A_session_is_over_with_the_last_millisecond_of_its_absolute_timeout()
    {
        var absolute = TimeSpan.FromHours(1);
        var site = await StartAsync(options: o => o.AbsoluteTimeout = absolute);
        var (secret, id) = await CreateAsync(site);
        _clock.Advance(absolute - TimeSpan.FromMilliseconds(1));
        Assert.NotNull(await site.Sessions.GetAsync(id));
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Null(await site.Sessions.GetAsync(id));
        Assert.Empty(Open(site, secret).Keys);
    }

    private sealed class Heart(TimeSpan interval) : SessionAddOn
    {
        private int _beats;

        public int Beats => Volatile.Read(ref _beats);

        public override SessionAddOnOrder Order => SessionAddOnOrder.Observer;

        public override TimeSpan HeartbeatInterval => interval;

        public override void HeartbeatDue(SessionBeat beat) => Interlocked.Increment(ref _beats);
    }
}

public sealed class SlidesOnGarnet(InProcessGarnet server) : SlideTests(server);

public sealed class SlidesOnRedis(LocalRedis server) : SlideTests(server);
