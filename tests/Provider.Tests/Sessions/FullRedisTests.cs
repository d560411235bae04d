using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>A Redis that is full and evicts nothing refuses what needs memory, and answers everything else.</summary>
[Collection(Alone.Name)]
public sealed class FullRedisTests : OwnRedisTest
{
    [Theory]
    [InlineData(null)]
    [InlineData(10)] // shorter than the idle timeout: the session is in its last stretch from the beginning
    public async Task A_full_redis_still_answers_reads_with_and_without_a_copy_and_sign_outs(int? absoluteMinutes)
    {
        var redis = await RedisAsync("--maxmemory-policy", "noeviction");
        void Options(RedisSessionOptions options) => options.AbsoluteTimeout = absoluteMinutes is { } minutes ? TimeSpan.FromMinutes(minutes) : null;
        void Synchronous(IApplicationBuilder app) => app.Use((context, next) =>
            context.Request.Path == "/synchronous" ? context.Response.WriteAsync(context.Session.GetString("a") ?? "") : next(context));
        var withCopy = await SiteAsync(redis.Address + RedisServer.Patient, options: Options, afterSession: Synchronous);
        var withoutCopy = await SiteAsync(redis.Address + RedisServer.Patient, options: Options, afterSession: Synchronous);
        var browser = withCopy.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/get/a");

        await using (var admin = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true"))
        {
            await admin.GetServers()[0].ConfigSetAsync("maxmemory", "100kb");
            await Assert.ThrowsAsync<RedisServerException>(() => admin.GetDatabase().StringSetAsync("something", "else"));
        }

        foreach (var site in new[] { withCopy, withCopy, withoutCopy, withoutCopy })
        {
            site.Log.Clear();
            site.TakeOver(browser);
            Assert.Equal("1", await browser.GetAsync("/get/a"));
            Assert.Equal("1", await browser.GetAsync("/synchronous"));
            Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
        }

        await browser.GetAsync("/destroy");
        Assert.Empty(browser.Cookies);
    }

    /// <summary>It will not pass by itself: were it not told, the session would end with the sign-in's first end, whoever uses it.</summary>
    [Fact]
    public async Task A_sign_in_that_a_full_redis_does_not_let_slide_is_told()
    {
        var redis = await RedisAsync("--maxmemory-policy", "noeviction");
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await SiteAsync(
            redis.Address + RedisServer.Patient,
            app => app.MapGet("/login/{user}", (HttpContext context, string user) => context.SignInAsync(SignInSite.PrincipalOf(user))),
            services: SignInSite.AddServices,
            addOns: builder => builder.AddUserIndex());
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromDays(8));
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        await admin.GetServers()[0].ConfigSetAsync("maxmemory", "100kb");
        Assert.Contains("OOM", (await browser.TryAsync("/get/a")).Body, StringComparison.Ordinal);
        await admin.GetServers()[0].ConfigSetAsync("maxmemory", "0");
        Assert.Equal("", await browser.GetAsync("/get/a"));
    }
}
