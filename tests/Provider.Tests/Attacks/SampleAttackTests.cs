using System.Net;

namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 24: the sample is what people copy, so it does what docs/security.md says.</summary>
[Collection(Alone.Name)]
public sealed class SampleAttackTests
{
    [Fact]
    public async Task Every_cookie_of_the_sample_is_Secure_and_HttpOnly_over_https()
    {
        using var sample = await SampleOverHttps.StartAsync();
        using var grace = sample.NewVisitor();
        await grace.SignInAsync("grace", "hopper");

        // Session, authentication, antiforgery.
        Assert.InRange(grace.SetCookies.Count, 3, 10);
        Assert.All(grace.SetCookies, cookie => Assert.Contains("; secure", cookie, StringComparison.OrdinalIgnoreCase));
        Assert.All(grace.SetCookies, cookie => Assert.Contains("; httponly", cookie, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task The_dashboard_of_the_sample_is_not_for_every_user()
    {
        using var sample = await SampleOverHttps.StartAsync();
        using var grace = sample.NewVisitor();
        await grace.SignInAsync("grace", "hopper");
        Assert.Equal(HttpStatusCode.OK, await grace.StatusAsync("/Preferences"));
        Assert.Equal(HttpStatusCode.Redirect, await grace.StatusAsync("/admin/sessions"));
    }
}
