// Assumed API (findings 3 and 19; UserIndexOptions has an internal method UserIdOf on the landed code, which the property replaces):
//
//   UserIndexOptions.UserIdOf : Func<ClaimsPrincipal, string?>?   { get; set; }   default null
//     The user's id of an authenticated principal, null for "nobody's"; goes before UserIdClaimType and the default order
//     (NameIdentifier, sub, Name).
//   UserIndexOptions.QualifyByIssuer : bool                       { get; set; }   default false
//     The id is the claim's value and its Claim.Issuer, so that two issuers' user 42 are two users. How the two are joined is the
//     library's: an application reads it with Session.GetUserId(), or asks
//   UserIndexOptions.GetUserId(ClaimsPrincipal) : string?
//     which answers what the index uses, for ListAsync and RevokeAllAsync.
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

namespace RedisSessions.Tests.Attacks;

public sealed class UserIdTests(InProcessGarnet server) : AttackTest(server)
{
    private static ClaimsPrincipal PrincipalOf(string issuer, string id) => new(new ClaimsIdentity(
        [new Claim(ClaimTypes.NameIdentifier, id, ClaimValueTypes.String, issuer), new Claim(ClaimTypes.Name, $"{id} of {issuer}")], "test"));

    private Task<Site> StartTenantsAsync(Action<UserIndexOptions> users) => StartAttackedAsync(users, map: app =>
    {
        CookieSite.Map(app);
        app.MapGet("/tenant/{issuer}/{id}", (HttpContext context, string issuer, string id) => context.SignInAsync(PrincipalOf(issuer, id)));
    });

    /// <summary>Finding 19.</summary>
    [Fact]
    public async Task With_QualifyByIssuer_two_tenants_user_42_are_two_users()
    {
        var site = await StartTenantsAsync(o => o.QualifyByIssuer = true);
        var (a, b) = (site.NewBrowser(), site.NewBrowser());
        await a.GetAsync("/tenant/https:a/42");
        await b.GetAsync("/tenant/https:b/42");
        var (ofA, ofB) = (await a.GetAsync("/owner"), await b.GetAsync("/owner"));
        Assert.NotEqual(ofA, ofB);
        Assert.Single(await Users(site).ListAsync(ofA));
        Assert.Single(await Users(site).ListAsync(ofB));
        Assert.Empty(await Users(site).ListAsync("42"));
        Assert.Equal(ofA, site.Services.GetRequiredService<IOptions<UserIndexOptions>>().Value.GetUserId(PrincipalOf("https:a", "42")));
        Assert.Equal(1, await Users(site).RevokeAllAsync(ofA));
        Assert.Equal("", await a.GetAsync("/whoami"));
        Assert.Equal("42 of https:b", await b.GetAsync("/whoami"));

        // Nor does one get at the other's data by signing in over it.
        await b.GetAsync("/set/secret/diary");
        await b.GetAsync("/tenant/https:a/42");
        Assert.Equal("", await b.GetAsync("/get/secret"));
    }

    /// <summary>Whatever joins the two, no issuer can be made up so that issuer and id read as another's.</summary>
    [Theory]
    [InlineData("a", "b|c", "a|b", "c")]
    [InlineData("a", "b:c", "a:b", "c")]
    [InlineData("a", "bc", "ab", "c")]
    public async Task No_two_pairs_of_issuer_and_id_are_the_same_user(string issuer, string id, string otherIssuer, string otherId)
    {
        var site = await StartTenantsAsync(o => o.QualifyByIssuer = true);
        var (one, other) = (site.NewBrowser(), site.NewBrowser());
        await one.GetAsync($"/tenant/{issuer}/{Uri.EscapeDataString(id)}");
        await other.GetAsync($"/tenant/{Uri.EscapeDataString(otherIssuer)}/{otherId}");
        Assert.NotEqual(await one.GetAsync("/owner"), await other.GetAsync("/owner"));
    }

    [Fact]
    public async Task A_function_says_who_it_is_and_may_say_nobody()
    {
        var site = await StartTenantsAsync(o => o.UserIdOf = principal =>
            principal.FindFirst(ClaimTypes.NameIdentifier) is { Issuer: "staff" } claim ? $"staff-{claim.Value}" : null);
        var (staff, guest) = (site.NewBrowser(), site.NewBrowser());
        await staff.GetAsync("/tenant/staff/42");
        Assert.Equal("staff-42", await staff.GetAsync("/owner"));
        Assert.Single(await Users(site).ListAsync("staff-42"));
        await guest.GetAsync("/set/cart/tea");
        var id = await guest.GetAsync("/id");
        await guest.GetAsync("/tenant/elsewhere/42");
        Assert.Equal("", await guest.GetAsync("/owner"));

        // Nobody's, and a sign-in all the same.
        Assert.NotEqual(id, await guest.GetAsync("/id"));
        Assert.Equal("tea", await guest.GetAsync("/get/cart"));
        Assert.Equal("42 of elsewhere", await guest.GetAsync("/whoami"));
    }
}
