// Assumed API (finding 12):
//
//   ISessionSecurity.CredentialsChangedAsync(string userId, string? exceptSessionId = null, CancellationToken cancellationToken = default)
//       : Task<long>
//     Ends all sessions of a user but one, whatever SessionSecurityOptions.EndOtherSessionsOnCredentialChange says (there is no
//     "other" without a session at hand), and sets the user's revocation time; needs no HttpContext. An overload of the member
//     that takes the request, so that a password reset by e-mail, an API or an administrator's page can say the same.
namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 12: a password reset has no session, only a user.</summary>
public sealed class CredentialChangeByUserTests(InProcessGarnet server) : AttackTest(server)
{
    private static ISessionSecurity Security(Site site) => site.Services.GetRequiredService<ISessionSecurity>();

    [Fact]
    public async Task A_password_reset_outside_any_session_ends_all_sessions_of_the_user()
    {
        var site = await StartAttackedAsync();
        var (stolen, other) = (site.NewBrowser(), site.NewBrowser());
        await stolen.GetAsync("/login/ada");
        await other.GetAsync("/login/grace");
        Assert.Equal(1, await Security(site).CredentialsChangedAsync("ada"));
        Assert.Equal("", await stolen.GetAsync("/whoami"));
        Assert.Equal("grace", await other.GetAsync("/whoami"));

        // With the new password.
        await stolen.GetAsync("/login/ada");
        Assert.Equal("ada", await stolen.GetAsync("/whoami"));
    }

    [Fact]
    public async Task One_session_may_be_kept_however_its_id_is_spelt()
    {
        var site = await StartAttackedAsync();
        var (here, there) = (site.NewBrowser(), site.NewBrowser());
        var id = await here.GetAsync("/login/ada");
        await there.GetAsync("/login/ada");
        Assert.Equal(1, await Security(site).CredentialsChangedAsync("ada", id.ToUpperInvariant()));
        Assert.Equal("ada", await here.GetAsync("/whoami"));
        Assert.Equal("", await there.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_user_id_is_required() =>
        await Assert.ThrowsAsync<ArgumentException>(async () => await Security(await StartAttackedAsync()).CredentialsChangedAsync(""));

    /// <summary>A sign-in with the old password that another server is in the middle of.</summary>
    [Fact]
    public async Task A_sign_in_under_way_does_not_survive_it()
    {
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartAttackedAsync();
        var slow = await StartAttackedAsync(redis: proxy.Address);
        await slow.NewBrowser().GetAsync("/login/warm");
        var browser = slow.NewBrowser();
        var gate = new Gate(proxy);
        var request = StatusAsync(browser, "/login/ada");
        await Task.WhenAny(gate.Reached, request);
        await Security(healthy).CredentialsChangedAsync("ada");
        gate.Open();
        await request;
        healthy.TakeOver(browser);
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }
}
