using StackExchange.Redis;

namespace RedisSessions.Tests.Attacks;

/// <summary>Tickets in sessions on the sites that developers have: ASP.NET Core Identity, and everything encrypted.</summary>
public sealed class TicketStoreSiteTests(InProcessGarnet server) : AttackTest(server)
{
    private Task<Site> StartIdentityAsync(bool encrypted = false) => StartAsync(
        app =>
        {
            IdentitySite.Map(app);
            app.MapGet("/stamp/{user}", async (Microsoft.AspNetCore.Identity.UserManager<IdentitySite.Member> users, string user) =>
                await users.UpdateSecurityStampAsync((await users.FindByNameAsync(user))!));
        },
        services: IdentitySite.AddServices,
        addOns: builder => Add(builder, encrypted),
        afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());

    private Task<Site> StartEncryptedAsync() => StartAsync(
        TwoSchemeSite.Map,
        services: TwoSchemeSite.AddServices,
        addOns: builder => Add(builder, encrypted: true),
        afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());

    private void Add(RedisSessionBuilder builder, bool encrypted)
    {
        builder.AddUserIndex().AddSecurity().AddTicketStore().Services.AddSingleton<ISessionSecurityEvents>(Events);
        if (encrypted)
        {
            builder.AddEncryption(o => o.AcceptUnencrypted = false);
        }
    }

    private async Task<HashEntry[]> HashAsync(Browser browser) => await (await DatabaseAsync()).HashGetAllAsync(KeyOf(await browser.GetAsync("/id")));

    private async Task<string?> TicketAsync(Browser browser) => (await HashAsync(browser)).SingleOrDefault(entry => entry.Name == "@t").Value;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Identitys_sign_in_refresh_and_sign_out_keep_renew_and_end_the_ticket_in_the_session(bool encrypted)
    {
        var site = await StartIdentityAsync(encrypted);
        var browser = site.NewBrowser();
        await browser.GetAsync("/register/ada");
        await browser.GetAsync("/set/cart/tea");
        await browser.GetAsync("/login/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("id-of-ada", await browser.GetAsync("/owner"));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.InRange(browser.Cookies[IdentitySite.AuthCookie].Length, 1, 400);
        var (before, old) = (await TicketAsync(browser), browser.Copy());
        Assert.NotNull(before);

        await browser.GetAsync("/refresh");
        Assert.NotEqual(before, await TicketAsync(browser));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        old.SetCookie(Browser.SessionCookie, browser.Cookies[Browser.SessionCookie]);
        Assert.Equal("", await old.GetAsync("/whoami"));
        Assert.Equal("sent", await browser.GetAsync("/transfer"));

        var copy = browser.Copy();
        await browser.GetAsync("/logout");
        Assert.Equal("", await copy.GetAsync("/whoami"));
        Assert.Equal("", await copy.GetAsync("/get/cart"));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>A ticket that a site keeps for long must not keep its stamp from being asked about.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Identitys_security_stamp_ends_the_other_browsers_and_not_the_one_that_changed_the_password(bool encrypted)
    {
        var site = await StartIdentityAsync(encrypted);
        var (here, there) = (site.NewBrowser(), site.NewBrowser());
        await here.GetAsync("/register/ada");
        await here.GetAsync("/login/ada");
        await there.GetAsync("/login/ada");
        await here.GetAsync("/password");
        Assert.Equal("ada", await here.GetAsync("/whoami"));
        Assert.Equal("ada", await here.GetAsync("/whoami"));
        Assert.Equal("", await there.GetAsync("/whoami"));
        Assert.DoesNotContain(IdentitySite.AuthCookie, there.Cookies.Keys);

        // By an administrator: everybody's, and it stays so.
        await site.NewBrowser().GetAsync("/stamp/ada");
        Assert.Equal("", await here.GetAsync("/whoami"));
        Assert.Equal("", await here.GetAsync("/whoami"));
        await here.GetAsync("/login/ada");
        Assert.Equal("ada", await here.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Identitys_external_login_keeps_the_cart_and_its_ticket_is_the_members()
    {
        var site = await StartIdentityAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/register/ada");
        await browser.GetAsync("/set/cart/tea");
        await browser.GetAsync("/external/ada");
        Assert.Null(await TicketAsync(browser));
        Assert.Equal("", await browser.GetAsync("/owner"));
        await browser.GetAsync("/external/callback/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("id-of-ada", await browser.GetAsync("/owner"));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.NotNull(await TicketAsync(browser));
        Assert.Single(await Users(site).ListAsync("id-of-ada"));
        var copy = browser.Copy();
        Assert.Equal(1, await Users(site).RevokeAllAsync("id-of-ada"));
        Assert.Equal("", await copy.GetAsync("/whoami"));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task With_encryption_the_ticket_is_sealed_with_the_session_and_moves_with_it()
    {
        var (first, second) = (await StartEncryptedAsync(), await StartEncryptedAsync());
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        await browser.GetAsync("/login/ada/admin");
        second.TakeOver(browser);
        Assert.Equal("admin", await browser.GetAsync("/role"));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        await browser.GetAsync("/regenerate");
        await browser.GetAsync("/set/b/2");
        first.TakeOver(browser);
        Assert.Equal("admin", await browser.GetAsync("/role"));
        await browser.GetAsync("/clear");
        Assert.Equal("admin", await browser.GetAsync("/role"));
        var bound = Assert.Single(await Users(first).ListAsync("ada"));
        Assert.Equal(await browser.GetAsync("/id"), bound.Id);
        await browser.GetAsync("/logout");
        Assert.False(await first.Sessions.ExistsAsync(bound.Id));
        Assert.DoesNotContain(Events.All, e => e.Kind == SessionSecurityEventKind.DecryptionFailed);
    }

    /// <summary>Who can write to Redis keeps the ticket of yesterday, with the role of yesterday.</summary>
    [Theory]
    [InlineData("an earlier ticket of the session")]
    [InlineData("another session's ticket")]
    [InlineData("no ticket")]
    public async Task With_encryption_whoever_exchanges_the_ticket_makes_the_session_nobodys(string what)
    {
        var site = await StartEncryptedAsync();
        var (browser, other) = (site.NewBrowser(), site.NewBrowser());
        await browser.GetAsync("/login/ada/admin");
        await other.GetAsync("/login/eve/reader");
        var earlier = await TicketAsync(browser);
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/refresh");
        var key = KeyOf(await browser.GetAsync("/id"));
        var db = await DatabaseAsync();
        if (what == "no ticket")
        {
            await db.HashDeleteAsync(key, "@t");
        }
        else
        {
            await db.HashSetAsync(key, "@t", what == "another session's ticket" ? await TicketAsync(other) : earlier);
        }

        // Read by a server that has no copy of it.
        (await StartEncryptedAsync()).TakeOver(browser);
        Events.Clear();
        Assert.Equal("", await browser.GetAsync("/role"));
        Assert.Contains(Events.All, e => e.Kind == SessionSecurityEventKind.DecryptionFailed);
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }
}
