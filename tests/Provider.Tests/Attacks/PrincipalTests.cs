namespace RedisSessions.Tests.Attacks;

/// <summary>Whose a session is, whatever the application's principals look like and however many schemes it has.</summary>
public sealed class PrincipalTests(InProcessGarnet server) : AttackTest(server)
{
    private Task<Site> StartOidcAsync() => StartAttackedAsync(map: app =>
    {
        CookieSite.Map(app);
        OidcSite.Map(app);
    });

    /// <summary>Finding 3. The attacker planted the cookie, and waits for the user to sign in.</summary>
    [Theory]
    [InlineData("/oidc/4711/ada")]
    [InlineData("/oidc-name/ada")]
    [InlineData("/oidc-guest")]
    public async Task A_planted_session_does_not_survive_the_sign_in_of_an_oidc_principal(string signIn)
    {
        var site = await StartOidcAsync();
        var attacker = From(site, "192.0.2.66");
        await attacker.GetAsync("/set/planted/1");
        var id = await attacker.GetAsync("/id");
        var victim = attacker.Copy();
        victim.Headers["User-Agent"] = Firefox;
        await victim.GetAsync(signIn);
        await victim.GetAsync("/set/secret/diary");
        Assert.Equal("", await attacker.GetAsync("/get/secret"));
        Assert.NotEqual(id, await victim.GetAsync("/id"));
        Assert.Equal("diary", await victim.GetAsync("/get/secret"));
        Assert.Equal("true", await victim.GetAsync("/authenticated"));
    }

    /// <summary>Finding 3.</summary>
    [Theory]
    [InlineData("/oidc/4711/ada", "4711")]
    [InlineData("/oidc-name/ada", "ada")]
    public async Task Sessions_of_an_oidc_principal_are_listed_and_revoked_by_its_sub_or_name(string signIn, string userId)
    {
        var site = await StartOidcAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync(signIn);
        Assert.Equal(userId, await browser.GetAsync("/owner"));
        Assert.Single(await Users(site).ListAsync(userId));
        Assert.Equal(1, await Users(site).RevokeAllAsync(userId));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>Finding 3. Nobody can be revoked by name here, but sign-out still ends what it ends for everybody.</summary>
    [Fact]
    public async Task A_copied_ticket_without_a_user_id_is_worth_nothing_after_sign_out()
    {
        var site = await StartOidcAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/oidc-guest");
        var thief = browser.Copy();
        await browser.GetAsync("/logout");
        Assert.Equal("false", await thief.GetAsync("/authenticated"));
    }

    /// <summary>Finding 10, before the endpoint.</summary>
    [Fact]
    public async Task A_principal_of_an_excluded_scheme_does_not_take_the_session_over()
    {
        var site = await StartAttackedAsync(o => o.ExcludedSchemes.Add(TwoSchemeSite.Partner), map: TwoSchemeSite.Map, services: TwoSchemeSite.AddServices);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/cart/tea");
        await browser.GetAsync("/partner/login/grace");
        Assert.Equal("grace", await browser.GetAsync("/partner/whoami"));
        await browser.GetAsync("/partner/set/seen/1");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
        await browser.GetAsync("/partner/logout");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal(0, await Users(site).CountAsync("grace"));
    }

    /// <summary>Finding 10, at the commit that creates a session.</summary>
    [Fact]
    public async Task A_session_that_a_principal_of_an_excluded_scheme_creates_is_nobodys()
    {
        var site = await StartAttackedAsync(o => o.ExcludedSchemes.Add(TwoSchemeSite.Partner), map: TwoSchemeSite.Map, services: TwoSchemeSite.AddServices);
        var browser = site.NewBrowser();
        await browser.GetAsync("/partner/login/grace");
        await browser.GetAsync("/partner/set/a/1");
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        Assert.Equal("", await browser.GetAsync("/owner"));
        Assert.Empty(await Users(site).ListAsync("grace"));
    }

    /// <summary>
    /// Finding 10. A page calls the API with a token of another user (an impersonation, a service). The session is the cookie
    /// sign-in's, and only a cookie sign-in may end it.
    /// </summary>
    [Fact]
    public async Task A_bearer_of_another_user_does_not_take_over_the_session_of_a_cookie_sign_in()
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/cart/tea");
        BearerHandler.Use(browser, "grace");
        Assert.Equal("grace", await browser.GetAsync("/api/whoami"));
        browser.Headers.Remove("Authorization");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Empty(await Users(site).ListAsync("grace"));
    }

    /// <summary>Finding 10. Nobody can say whose the cookie sign-in is, and it is one all the same.</summary>
    [Fact]
    public async Task A_bearer_does_not_take_over_the_session_of_a_sign_in_without_a_user_id()
    {
        var site = await StartOidcAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/oidc-guest");
        await browser.GetAsync("/set/cart/tea");
        BearerHandler.Use(browser, "grace");
        Assert.Equal("grace", await browser.GetAsync("/api/whoami"));
        browser.Headers.Remove("Authorization");
        Assert.Equal("true", await browser.GetAsync("/authenticated"));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal("", await browser.GetAsync("/owner"));
    }

    /// <summary>Finding 10. What the application bound itself is not the next token's.</summary>
    [Fact]
    public async Task A_bearer_does_not_take_over_what_the_application_bound_to_another_user()
    {
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/bind/{user}", (HttpContext context, string user, IUserSessions users) => users.BindCurrentSessionAsync(user));
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/bind/ada");
        await browser.GetAsync("/set/cart/tea");
        BearerHandler.Use(browser, "grace");
        Assert.Equal("grace", await browser.GetAsync("/api/whoami"));
        browser.Headers.Remove("Authorization");
        Assert.Equal("ada", await browser.GetAsync("/owner"));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
    }

    /// <summary>Finding 11. Only what a scheme bound ends with it.</summary>
    [Fact]
    public async Task Ending_an_external_sign_in_of_any_name_does_not_end_the_sign_in_that_it_led_to()
    {
        var site = await StartAttackedAsync(map: TwoSchemeSite.Map, services: TwoSchemeSite.AddServices);
        var browser = site.NewBrowser();
        await browser.GetAsync("/external/login/ada");
        await browser.GetAsync("/external/callback/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
        Assert.Single(await Users(site).ListAsync("ada"));
    }

    /// <summary>Finding 11, with Identity's own name for it, where the visitor's cart stays as well.</summary>
    [Fact]
    public async Task Identity_signs_in_by_an_external_login_keeps_the_cart_and_ends_other_sessions_with_a_new_stamp()
    {
        var site = await StartAttackedAsync(map: IdentitySite.Map, services: IdentitySite.AddServices);
        await site.NewBrowser().GetAsync("/register/ada");
        var (here, there) = (site.NewBrowser(), site.NewBrowser());
        await here.GetAsync("/set/cart/tea");
        await here.GetAsync("/external/ada");
        await here.GetAsync("/external/callback/ada");
        Assert.Equal("ada", await here.GetAsync("/whoami"));
        Assert.Equal("tea", await here.GetAsync("/get/cart"));
        Assert.Equal("id-of-ada", await here.GetAsync("/owner"));

        await there.GetAsync("/login/ada");
        Assert.Equal("ada", await there.GetAsync("/whoami"));
        await here.GetAsync("/password");
        Assert.Equal("ada", await here.GetAsync("/whoami"));
        Assert.Equal("tea", await here.GetAsync("/get/cart"));
        Assert.Equal("", await there.GetAsync("/whoami"));
        await here.GetAsync("/logout");
        Assert.Equal("", await here.GetAsync("/whoami"));
        Assert.Empty(await Users(site).ListAsync("id-of-ada"));
    }
}
