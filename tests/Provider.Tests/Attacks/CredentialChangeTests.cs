namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 12: a changed password ends the user's sessions, wherever it was changed. By user id: pending/CredentialChangeByUserTests.cs.</summary>
public sealed class CredentialChangeTests(InProcessGarnet server) : AttackTest(server)
{
    /// <summary>An app changes the password through the API; the stolen browser session is what the user is worried about.</summary>
    [Fact]
    public async Task A_password_changed_through_an_api_without_a_session_ends_all_sessions_of_its_user()
    {
        var site = await StartAttackedAsync();
        var (stolen, other) = (site.NewBrowser(), site.NewBrowser());
        await stolen.GetAsync("/login/ada");
        await other.GetAsync("/login/grace");
        var app = site.NewBrowser();
        BearerHandler.Use(app, "ada");
        Assert.Equal("1", await app.GetAsync("/api/password"));
        Assert.Equal("", await stolen.GetAsync("/whoami"));
        Assert.Equal("grace", await other.GetAsync("/whoami"));
    }

    /// <summary>A browser where grace is signed in, a token of ada's: it is ada's password.</summary>
    [Fact]
    public async Task It_is_the_requests_user_whose_sessions_end_not_whoever_is_signed_in_beside()
    {
        var site = await StartAttackedAsync();
        var (stolen, mixed) = (site.NewBrowser(), site.NewBrowser());
        await stolen.GetAsync("/login/ada");
        await mixed.GetAsync("/login/grace");
        var graces = await mixed.GetAsync("/id");
        BearerHandler.Use(mixed, "ada");
        await mixed.GetAsync("/api/password");
        mixed.Headers.Remove("Authorization");
        Assert.Equal("", await stolen.GetAsync("/whoami"));
        Assert.Equal("grace", await mixed.GetAsync("/whoami"));
        Assert.Equal(graces, await mixed.GetAsync("/id"));
    }

    /// <summary>Where the application says by itself whose the session is, and no scheme does.</summary>
    [Fact]
    public async Task Where_no_scheme_says_who_it_is_the_session_does()
    {
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/bind/{user}", (HttpContext context, string user) => context.Session.BindUserAsync(user));
        });
        var (here, there) = (site.NewBrowser(), site.NewBrowser());
        await here.GetAsync("/bind/ada");
        await there.GetAsync("/bind/ada");
        Assert.Equal("1", await here.GetAsync("/password"));
        Assert.Equal("ada", await here.GetAsync("/owner"));
        Assert.Equal("", await there.GetAsync("/owner"));
    }
}
