namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 12, what needs nothing of the user index's own: a password reset has no session, only a user.</summary>
public sealed class PasswordResetTests(InProcessGarnet server) : AttackTest(server)
{
    [Fact]
    public async Task A_reset_by_user_id_ends_all_sessions_of_the_user_but_the_one_to_keep_and_of_nobody_else()
    {
        var site = await StartAttackedAsync(security: o => o.EndOtherSessionsOnCredentialChange = false);
        var security = site.Services.GetRequiredService<ISessionSecurity>();
        var (stolen, kept, other) = (site.NewBrowser(), site.NewBrowser(), site.NewBrowser());
        await stolen.GetAsync("/login/ada");
        var id = await kept.GetAsync("/login/ada");
        await other.GetAsync("/login/grace");
        Assert.Equal(1, await security.CredentialsChangedAsync("ada", id));
        Assert.Equal("", await stolen.GetAsync("/whoami"));
        Assert.Equal("ada", await kept.GetAsync("/whoami"));
        Assert.Equal(1, await security.CredentialsChangedAsync("ada"));
        Assert.Equal("", await kept.GetAsync("/whoami"));
        Assert.Equal("grace", await other.GetAsync("/whoami"));
        await Assert.ThrowsAsync<ArgumentException>(() => security.CredentialsChangedAsync(""));
    }

    [Fact]
    public async Task A_password_changed_through_an_api_ends_the_sessions_of_the_requests_user()
    {
        var site = await StartAttackedAsync();
        var stolen = site.NewBrowser();
        await stolen.GetAsync("/login/ada");
        var app = site.NewBrowser();
        BearerHandler.Use(app, "ada");
        Assert.Equal("1", await app.GetAsync("/api/password"));
        Assert.Equal("", await stolen.GetAsync("/whoami"));
    }
}
