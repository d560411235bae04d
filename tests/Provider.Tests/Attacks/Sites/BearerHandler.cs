using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>Bearer tokens as short as can be: the token is the user's name, and who has it is the user.</summary>
internal sealed class BearerHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "Bearer";

    /// <summary>The browser's requests carry this user's token from now on, beside whatever cookies it has.</summary>
    public static void Use(Browser browser, string user) => browser.Headers["Authorization"] = $"{SchemeName} {user}";

    protected override Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization.ToString();
        return Task.FromResult(header.StartsWith($"{SchemeName} ", StringComparison.Ordinal)
            ? AuthenticateResult.Success(new AuthenticationTicket(SignInSite.PrincipalOf(header[(SchemeName.Length + 1)..]), Scheme.Name))
            : AuthenticateResult.NoResult());
    }
}
