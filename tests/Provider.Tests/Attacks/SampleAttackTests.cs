using System.Net;
using System.Text.RegularExpressions;
using RedisSessions.Tests.Sample;

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
    public async Task The_dashboard_of_the_sample_is_not_for_every_user()
    {
        using var sample = await SampleOverHttps.StartAsync();
        using var client = sample.NewClient();
        await SignInAsync(client, "grace", "hopper");
        using (var preferences = await client.GetAsync(new Uri("/Preferences", UriKind.Relative)))
        {
            Assert.Equal(HttpStatusCode.OK, preferences.StatusCode);
        }

        using var dashboard = await client.GetAsync(new Uri("/admin/sessions", UriKind.Relative));
        Assert.NotEqual(HttpStatusCode.OK, dashboard.StatusCode);
    }

    /// <returns>Every cookie header that came on the way.</returns>
    private static async Task<List<string>> SignInAsync(HttpClient client, string user, string password)
    {
        var cookies = new List<string>();
        using var form = await client.GetAsync(new Uri("/Account/SignIn", UriKind.Relative));
        cookies.AddRange(Of(form));
        await SendAsync("/Account/SignIn", await form.Content.ReadAsStringAsync(), ("user", user), ("password", password));
        var second = await client.GetStringAsync(new Uri("/Account/Code", UriKind.Relative));
        await SendAsync("/Account/Code", second, ("code", Code().Match(second).Groups[1].Value));
        return cookies;

        async Task SendAsync(string path, string page, params (string Name, string Value)[] fields)
        {
            using var content = new FormUrlEncodedContent(fields.Append(("__RequestVerificationToken", SampleSite.TokenIn(page))).ToDictionary());
            using var response = await client.PostAsync(new Uri(path, UriKind.Relative), content);
            Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
            cookies.AddRange(Of(response));
        }

        static IEnumerable<string> Of(HttpResponseMessage response) => response.Headers.TryGetValues("Set-Cookie", out var values) ? values : [];
    }

    [GeneratedRegex("<code id=\"demo-code\">(\\d{6})</code>")]
    private static partial Regex Code();
}
