using System.Net;
using Microsoft.AspNetCore.Authentication;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 22: an id names one session or one user, however it is spelt, and never another.</summary>
public sealed class IdentifierTests(InProcessGarnet server) : AttackTest(server)
{
    [Fact]
    public async Task The_session_to_keep_may_be_spelt_in_upper_case()
    {
        var site = await StartAttackedAsync();
        var (here, there) = (site.NewBrowser(), site.NewBrowser());
        var id = await here.GetAsync("/login/ada");
        await there.GetAsync("/login/ada");
        Assert.Equal(1, await Users(site).RevokeAllAsync("ada", id.ToUpperInvariant()));
        Assert.Equal("ada", await here.GetAsync("/whoami"));
        Assert.Equal("", await there.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_session_in_upper_case_is_revoked_and_leaves_the_index()
    {
        var site = await StartAttackedAsync();
        var id = await site.NewBrowser().GetAsync("/login/ada");
        Assert.Equal(RevokeResult.Revoked, await Users(site).RevokeAsync("ada", id.ToUpperInvariant()));
        Assert.Equal(0, await Users(site).CountAsync("ada"));
    }

    /// <summary>Redis's client compares what looks like a number as one; user ids are text.</summary>
    [Theory]
    [InlineData("7", "007")]
    [InlineData("7", "+7")]
    [InlineData("10", "1e1")]
    public async Task A_users_id_is_text_even_where_it_looks_like_a_number(string owner, string other)
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync($"/login/{owner}");

        // A leftover or forged entry: the index only finds, the hash says whose it is.
        await (await DatabaseAsync()).SortedSetAddAsync($"{Fleet.Prefix}user:{{{other}}}", id, DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds());
        Assert.Empty(await Users(site).ListAsync(other));
        Assert.Equal(RevokeResult.BelongsToAnother, await Users(site).RevokeAsync(other, id));
        Assert.Equal(0, await Users(site).RevokeAllAsync(other));
        Assert.Equal(owner, await browser.GetAsync("/whoami"));
        Assert.Single(await Users(site).ListAsync(owner));
    }

    /// <summary>No such user exists in any directory, but a sloppy import may make one: signed in means found, and nobody else's.</summary>
    [Fact]
    public async Task A_user_id_that_is_not_well_formed_is_refused_or_listed_like_any_other()
    {
        string[] ids = ["ada\ud800", "ada\ud801"];
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/login-odd/{which:int}", async (HttpContext context, int which) =>
            {
                try
                {
                    await context.SignInAsync(SignInSite.PrincipalOf(ids[which]));
                    return Results.Ok();
                }
                catch (ArgumentException)
                {
                    return Results.BadRequest();
                }
            });
        });
        for (var i = 0; i < ids.Length; i++)
        {
            var browser = site.NewBrowser();
            if (await StatusAsync(browser, $"/login-odd/{i}") == HttpStatusCode.OK)
            {
                Assert.Single(await Users(site).ListAsync(ids[i]));
                Assert.Equal(1, await Users(site).RevokeAllAsync(ids[i]));
                Assert.Equal("", await browser.GetAsync("/whoami"));
            }
        }
    }
}
