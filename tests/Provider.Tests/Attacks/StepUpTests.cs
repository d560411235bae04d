using System.Net;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;

namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 4, what the attribute itself decides: whose session it is, and what a sign-in time may be.</summary>
public sealed class StepUpTests(InProcessGarnet server) : AttackTest(server)
{
    /// <summary>A policy of two schemes merges their principals: the attacker's own cookie, and a token of somebody else's.</summary>
    [Fact]
    public async Task Who_is_two_users_at_once_has_signed_in_as_neither()
    {
        const string Both = $"{CookieAuthenticationDefaults.AuthenticationScheme},{BearerHandler.SchemeName}";
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/both", [RequireRecentSignIn(5, AuthenticationSchemes = Both)] () => "sent");
        });
        var attacker = site.NewBrowser();
        await attacker.GetAsync("/login/eve");
        Assert.Equal("sent", await attacker.GetAsync("/both"));
        BearerHandler.Use(attacker, "ada");
        Assert.NotEqual(HttpStatusCode.OK, await StatusAsync(attacker, "/both"));
        BearerHandler.Use(attacker, "eve");
        Assert.Equal("sent", await attacker.GetAsync("/both"));
    }

    [Theory]
    [InlineData("-9223372036854775808")]
    [InlineData("9223372036854775807")]
    [InlineData("99999999999999999999")]
    [InlineData("")]
    public async Task A_time_that_no_server_wrote_is_not_recent(string time)
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        await (await DatabaseAsync()).HashSetAsync(KeyOf(id), [new("@s", time), new("@v", "7")]);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(browser, "/transfer"));
    }

    /// <summary>Only the age is a matter of signing in again; who may not do it at all is told so.</summary>
    [Fact]
    public async Task Who_lacks_more_than_a_recent_sign_in_is_refused_and_not_challenged()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/audit", [RequireRecentSignIn(5, Roles = "auditor")] () => "audit");
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromMinutes(6));
        using var response = await browser.SendAsync(HttpMethod.Get, "/audit");
        Assert.StartsWith("/Account/AccessDenied", response.Headers.Location!.PathAndQuery, StringComparison.Ordinal);
        Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.StepUpRefused);
    }

    /// <summary>However often the add-on is added, and whatever evaluators the application has had before its last.</summary>
    [Fact]
    public async Task The_applications_evaluator_is_asked_once_and_the_refusal_told_once()
    {
        var clock = StopClock();
        var asked = 0;
        var site = await StartAttackedAsync(
            services: services =>
            {
                CookieSite.AddServices(services);
                services.AddSingleton<IPolicyEvaluator>(provider => throw new InvalidOperationException("Replaced by a later one."));
                services.AddSingleton<IPolicyEvaluator>(provider => new CountingEvaluator(provider.GetRequiredService<IAuthorizationService>(), () => asked++));
            },
            addOns: builder => builder.AddUserIndex().AddSecurity().AddSecurity());
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
        clock.Advance(TimeSpan.FromMinutes(6));
        asked = 0;
        using var refused = await browser.SendAsync(HttpMethod.Get, "/transfer");
        Assert.StartsWith("/Account/Login", refused.Headers.Location!.PathAndQuery, StringComparison.Ordinal);
        Assert.Equal(1, asked);
        Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.StepUpRefused);
    }

    private sealed class CountingEvaluator(IAuthorizationService authorization, Action asked) : PolicyEvaluator(authorization)
    {
        public override Task<PolicyAuthorizationResult> AuthorizeAsync(AuthorizationPolicy policy, AuthenticateResult authenticationResult, HttpContext context, object? resource)
        {
            asked();
            return base.AuthorizeAsync(policy, authenticationResult, context, resource);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void A_sign_in_cannot_be_more_recent_than_now(int minutes) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new RequireRecentSignInAttribute(minutes));
}
