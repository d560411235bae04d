using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace RedisSessions.BackChannelLogout;

/// <summary>
/// OpenID Connect Back-Channel Logout 1.0, section 2.6. Signature, issuer, audience and lifetime are Microsoft.IdentityModel's to check; what makes a token a
/// logout token, and no ID token, is checked here. Answers why a token is refused in words that hold nothing of it.
/// </summary>
internal sealed class LogoutTokenValidator(BackChannelLogoutOptions options, TimeProvider clock)
{
    private const string LogoutEvent = "http://schemas.openid.net/event/backchannel-logout";
    private const int MaxTokenSize = 16 * 1024;
    private static readonly TimeSpan MaxClockSkew = TimeSpan.FromMinutes(5);
    private static readonly string[] Types = ["JWT", "logout+jwt", "application/logout+jwt"];

    // With a client's secret as the key, whoever knows that could log others out; a provider's own key nobody else has.
    private static readonly string[] Asymmetric =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512,
        SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512,
        SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512,
    ];

    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false, MaximumTokenSizeInBytes = MaxTokenSize };

    private TimeSpan Skew => options.TokenValidationParameters.ClockSkew < MaxClockSkew ? options.TokenValidationParameters.ClockSkew : MaxClockSkew;

    public async Task<(ProviderLogout? Logout, string? Refusal)> ValidateAsync(string token, CancellationToken cancellationToken)
    {
        if (token.Length > MaxTokenSize)
        {
            return (null, "The token is too large.");
        }

        var configuration = await ConfigurationAsync(cancellationToken).ConfigureAwait(false);
        var result = await _handler.ValidateTokenAsync(token, ParametersFor(configuration)).ConfigureAwait(false);
        if (!result.IsValid && options.ConfigurationManager is { } manager && HasUnknownKey(token, configuration))
        {
            // The provider may have new keys. The manager sees to it that this is not asked for too often.
            manager.RequestRefresh();
            if (await ConfigurationAsync(cancellationToken).ConfigureAwait(false) is var refreshed && !ReferenceEquals(refreshed, configuration))
            {
                result = await _handler.ValidateTokenAsync(token, ParametersFor(refreshed)).ConfigureAwait(false);
            }
        }

        return result is { IsValid: true, SecurityToken: JsonWebToken valid }
            ? Read(valid.InnerToken ?? valid, valid.Typ)
            : (null, $"The token is not valid ({result.Exception?.GetType().Name}).");
    }

    // What the handler throws for it differs by version.
    private bool HasUnknownKey(string token, OpenIdConnectConfiguration? configuration)
    {
        try
        {
            return _handler.ReadJsonWebToken(token).Kid is { Length: > 0 } id && configuration?.SigningKeys.Any(key => key.KeyId == id) != true;
        }
        catch (ArgumentException)
        {
            // No token at all: refused already.
            return false;
        }
    }

    private async Task<OpenIdConnectConfiguration?> ConfigurationAsync(CancellationToken cancellationToken) =>
        options.ConfigurationManager is { } manager ? await manager.GetConfigurationAsync(cancellationToken).ConfigureAwait(false) : null;

    private TokenValidationParameters ParametersFor(OpenIdConnectConfiguration? configuration)
    {
        var given = options.TokenValidationParameters;
        var parameters = given.Clone();
        (parameters.ValidateIssuer, parameters.IssuerValidatorUsingConfiguration) = (true, null);
        parameters.ValidIssuer = null;
        parameters.ValidIssuers = Known(given.ValidIssuers, given.ValidIssuer, configuration?.Issuer);
        (parameters.ValidateAudience, parameters.RequireAudience, parameters.AudienceValidator) = (true, true, null);
        parameters.ValidAudience = null;
        parameters.ValidAudiences = Known(given.ValidAudiences, given.ValidAudience, options.ClientId);
        (parameters.RequireSignedTokens, parameters.SignatureValidator, parameters.SignatureValidatorUsingConfiguration) = (true, null, null);
        parameters.IssuerSigningKeys = [.. given.IssuerSigningKeys ?? [], .. configuration?.SigningKeys ?? []];
        parameters.ValidAlgorithms = given.ValidAlgorithms?.Any() == true ? given.ValidAlgorithms : Asymmetric;
        (parameters.AlgorithmValidator, parameters.TransformBeforeSignatureValidation, parameters.TokenReader) = (null, null, null);
        (parameters.ValidTypes, parameters.TypeValidator) = (null, null);
        (parameters.ValidateLifetime, parameters.RequireExpirationTime) = (true, true);
        parameters.LifetimeValidator = (notBefore, expires, _, _) => IsInTime(notBefore, expires);
        (parameters.ValidateTokenReplay, parameters.TokenReplayValidator, parameters.TokenReplayCache) = (false, null, null);
        parameters.ConfigurationManager = null;
        return parameters;

        static string[] Known(IEnumerable<string>? several, params string?[] others) => [.. (several ?? []).Concat(others).OfType<string>().Where(static one => one.Length > 0)];
    }

    private bool IsInTime(DateTime? notBefore, DateTime? expires)
    {
        var now = clock.GetUtcNow().UtcDateTime;
        return expires is { } end && end + Skew > now && (notBefore is not { } begin || begin - Skew <= now);
    }

    private (ProviderLogout? Logout, string? Refusal) Read(JsonWebToken token, string? outerType)
    {
        foreach (var type in (string?[])[token.Typ, outerType])
        {
            if (!string.IsNullOrEmpty(type) && !Types.Contains(type, StringComparer.OrdinalIgnoreCase))
            {
                return (null, "The token is of another type.");
            }
        }

        using var payload = JsonDocument.Parse(Base64UrlEncoder.DecodeBytes(token.EncodedPayload));
        var claims = payload.RootElement;
        if (claims.TryGetProperty("nonce", out _))
        {
            return (null, "A logout token has no nonce.");
        }

        if (!claims.TryGetProperty("events", out var events)
            || events.ValueKind != JsonValueKind.Object
            || !events.TryGetProperty(LogoutEvent, out var logout)
            || logout.ValueKind != JsonValueKind.Object)
        {
            return (null, "The token does not say that it is a logout.");
        }

        var now = clock.GetUtcNow();
        if (!claims.TryGetProperty("iat", out var issued)
            || issued.ValueKind != JsonValueKind.Number
            || !issued.TryGetDouble(out var issuedAt)
            || issuedAt > (now + Skew).ToUnixTimeSeconds()
            || issuedAt < (now - options.MaxTokenAge - Skew).ToUnixTimeSeconds())
        {
            return (null, "The token does not say when it was issued, or that was too long ago.");
        }

        if (TextOf(claims, "jti") is not { Length: > 0 } tokenId)
        {
            return (null, "The token has no id.");
        }

        var (subject, session) = (TextOf(claims, "sub"), TextOf(claims, "sid"));
        if (string.IsNullOrEmpty(subject) && string.IsNullOrEmpty(session))
        {
            return (null, "The token names neither a subject nor a session.");
        }

        // From then on it is refused for its age.
        var expires = DateTimeOffset.FromUnixTimeSeconds((long)issuedAt) + options.MaxTokenAge + (2 * Skew);
        return (new ProviderLogout { Issuer = token.Issuer, Subject = subject, SessionId = session, TokenId = tokenId, ExpiresAt = expires }, null);
    }

    private static string? TextOf(JsonElement claims, string name) =>
        claims.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
