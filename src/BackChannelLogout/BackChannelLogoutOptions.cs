using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace RedisSessions.BackChannelLogout;

/// <summary>Whose logout tokens are accepted. Take all of it from the application's OpenID Connect scheme: see docs/users.md.</summary>
public sealed class BackChannelLogoutOptions
{
    /// <summary>
    /// The provider's address, from which its metadata are fetched over HTTPS. Needed where there is neither a
    /// <see cref="ConfigurationManager"/> nor a key in <see cref="TokenValidationParameters"/>.
    /// </summary>
    public string? Authority { get; set; }

    /// <summary>The client that tokens must be for (<c>aud</c>), beside the audiences of <see cref="TokenValidationParameters"/>. Required.</summary>
    public string? ClientId { get; set; }

    /// <summary>Where the provider's issuer and keys come from. Default <see langword="null"/>: from <see cref="Authority"/>.</summary>
    public IConfigurationManager<OpenIdConnectConfiguration>? ConfigurationManager { get; set; }

    /// <summary>
    /// Further issuers, audiences and keys. What would turn a check off is not followed: a token is always signed, by an asymmetric algorithm unless
    /// <c>ValidAlgorithms</c> says otherwise, of a known issuer, for this client, and in its time (<c>ClockSkew</c>, at most five minutes).
    /// </summary>
    public TokenValidationParameters TokenValidationParameters { get; set; } = new();

    /// <summary>How long ago a token may have been issued, whatever it says of its expiry. Between 1 second and 1 day. Default 10 minutes.</summary>
    public TimeSpan MaxTokenAge { get; set; } = TimeSpan.FromMinutes(10);

    internal void ThrowIfWrong()
    {
        if (string.IsNullOrEmpty(ClientId))
        {
            throw new InvalidOperationException("BackChannelLogoutOptions.ClientId is missing. Write the client id that the provider knows this application by.");
        }

        if (MaxTokenAge < TimeSpan.FromSeconds(1) || MaxTokenAge > TimeSpan.FromDays(1))
        {
            throw new InvalidOperationException("BackChannelLogoutOptions.MaxTokenAge is out of range. Write a time span between one second and one day, for example TimeSpan.FromMinutes(10).");
        }

        if (ConfigurationManager is not null || TokenValidationParameters is { IssuerSigningKey: not null } or { IssuerSigningKeys: not null } or { IssuerSigningKeyResolver: not null })
        {
            return;
        }

        if (!Uri.TryCreate(Authority, UriKind.Absolute, out var authority) || authority.Scheme != Uri.UriSchemeHttps)
        {
            throw new InvalidOperationException("Back-channel logout has no keys to validate tokens by. Set BackChannelLogoutOptions.ConfigurationManager to that of the OpenID Connect scheme, or Authority to the provider's https address.");
        }

        ConfigurationManager = new ConfigurationManager<OpenIdConnectConfiguration>(
            $"{Authority.TrimEnd('/')}/.well-known/openid-configuration", new OpenIdConnectConfigurationRetriever(), new HttpDocumentRetriever { RequireHttps = true });
    }
}
