namespace RedisSessions.Tests.Attacks;

/// <summary>Whoever reads the security events knows who came, went, was refused and was sent away, and by whom.</summary>
public sealed class AuditTests(InProcessGarnet server) : AttackTest(server)
{
    private SessionSecurityEvent The(SessionSecurityEventKind kind) => Assert.Single(Events.All, e => e.Kind == kind);

    [Fact]
    public async Task A_sign_in_and_a_ticket_that_is_written_again_are_told_apart()
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        var signedIn = The(SessionSecurityEventKind.SignedIn);
        Assert.Equal((id, "ada", "signed in, scheme Cookies"), (signedIn.SessionId, signedIn.UserId, signedIn.Detail));
        Events.Clear();
        await browser.GetAsync("/refresh");
        Assert.Equal("ticket written again, scheme Cookies", The(SessionSecurityEventKind.SignedIn).Detail);
        Events.Clear();
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Empty(Events.All);
    }

    [Fact]
    public async Task A_session_that_a_bearer_token_begins_is_told_once()
    {
        var site = await StartAttackedAsync();
        var client = site.NewBrowser();
        BearerHandler.Use(client, "ada");
        await client.GetAsync("/api/set/a/1");
        await client.GetAsync("/api/set/a/2");
        var bound = The(SessionSecurityEventKind.SignedIn);
        Assert.Equal("ada", bound.UserId);
        Assert.Equal($"bound, scheme {BearerHandler.SchemeName}", bound.Detail);
    }

    [Fact]
    public async Task A_sign_out_names_the_session_and_its_user()
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        Events.Clear();
        await browser.GetAsync("/logout");
        var signedOut = The(SessionSecurityEventKind.SignedOut);
        Assert.Equal((id, "ada", SessionEndReason.SignedOut), (signedOut.SessionId, signedOut.UserId, signedOut.EndReason));
    }

    [Fact]
    public async Task An_anonymous_session_that_ends_is_no_sign_out()
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/destroy");
        Assert.Empty(Events.All);
    }

    [Fact]
    public async Task An_eviction_is_told_apart_from_a_revocation_by_an_administrator()
    {
        var site = await StartAttackedAsync(o => o.MaxSessionsPerUser = 1);
        var first = await site.NewBrowser().GetAsync("/login/ada");
        var second = await site.NewBrowser().GetAsync("/login/ada");
        var evicted = The(SessionSecurityEventKind.Revoked);
        Assert.Equal((first, "ada", SessionEndReason.Evicted, null), (evicted.SessionId, evicted.UserId, evicted.EndReason, evicted.By));
        Events.Clear();
        await Users(site).RevokeAllAsync("ada", null, new SessionRevocation(By: "root", Note: "ticket 7"), TestContext.Current.CancellationToken);
        var revoked = The(SessionSecurityEventKind.Revoked);
        Assert.Equal((second, SessionEndReason.Revoked, "root", "ticket 7"), (revoked.SessionId, revoked.EndReason, revoked.By, revoked.Detail));
    }

    [Fact]
    public async Task A_refused_step_up_names_who_was_refused_and_an_anonymous_request_nobody()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
        Assert.DoesNotContain(Events.All, e => e.Kind == SessionSecurityEventKind.StepUpRefused);
        clock.Advance(TimeSpan.FromMinutes(6));
        await StatusAsync(browser, "/transfer");
        var refused = The(SessionSecurityEventKind.StepUpRefused);
        Assert.Equal((id, "ada"), (refused.SessionId, refused.UserId));
        Events.Clear();
        await StatusAsync(site.NewBrowser(), "/transfer");
        Assert.Empty(Events.All);
    }
}
