using System.Net;
using System.Text.RegularExpressions;

namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 24: the sample is what people copy, so it does what docs/security.md says.</summary>
[Collection(Alone.Name)]
public sealed partial class SampleAttackTests
{
    [Fact]
    public async Task Every_cookie_of_the_sample_is_Secure_and_HttpOnly_over_https()
    {
        using var sample = await SampleOverHttps.StartAsync();
        using var client = sample.NewClient();
        var cookies = await SignInAsync(client, "grace", "hopper");

        // Session, authentication, antiforgery.
        Assert.InRange(cookies.Count, 3, 10);
        Assert.All(cookies, cookie => Assert.Contains("; secure", cookie, StringComparison.OrdinalIgnoreCase));
        Assert.All(cookies, cookie => Assert.Contains("; httponly", cookie, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task The_statistics_of_the_sample_are_not_for_every_user()
    {
        using var sample = await SampleOverHttps.StartAsync();
        using var client = sample.NewClient();
        await SignInAsync(client, "grace", "hopper");
        using (var profile = await client.GetAsync(new Uri("/Profile", UriKind.Relative)))
        {
            Assert.Equal(HttpStatusCode.OK, profile.StatusCode);
        }

        using var statistics = await client.GetAsync(new Uri("/Statistics", UriKind.Relative));
        Assert.NotEqual(HttpStatusCode.OK, statistics.StatusCode);
    }

    /// <returns>Every cookie header that came on the way.</returns>
    private static async Task<List<string>> SignInAsync(HttpClient client, string user, string password)
    {
        var cookies = new List<string>();
        using var form = await client.GetAsync(new Uri("/Account/SignIn", UriKind.Relative));
        cookies.AddRange(Of(form));
        var token = Token().Match(await form.Content.ReadAsStringAsync()).Groups[1].Value;
        using var content = new FormUrlEncodedContent(new Dictionary<string, string> { ["user"] = user, ["password"] = password, ["__RequestVerificationToken"] = token });
        using var response = await client.PostAsync(new Uri("/Account/SignIn", UriKind.Relative), content);
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        cookies.AddRange(Of(response));
        return cookies;

        static IEnumerable<string> Of(HttpResponseMessage response) => response.Headers.TryGetValues("Set-Cookie", out var values) ? values : [];
    }

    [GeneratedRegex("name=\"__RequestVerificationToken\"[^>]*value=\"([^\"]+)\"")]
    private static partial Regex Token();
}
