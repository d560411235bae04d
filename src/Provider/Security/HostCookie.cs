using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace RedisSessions.Security;

/// <summary>
/// Gives the session cookie a name that begins with <c>__Host-</c>, by option: a browser takes such a cookie only from this very host, over
/// HTTPS and for the whole site, so no other host of the domain can plant one (RFC 6265bis, 4.1.3.2).
/// </summary>
internal sealed class HostCookie(IOptions<SessionSecurityOptions> security) : IPostConfigureOptions<SessionOptions>, IValidateOptions<SessionOptions>
{
    private const string Prefix = "__Host-";

    public void PostConfigure(string? name, SessionOptions options)
    {
        if (security.Value.UseHostCookie)
        {
            options.Cookie.SecurePolicy = CookieSecurePolicy.Always;
            if (options.Cookie.Name?.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) != true)
            {
                options.Cookie.Name = Prefix + options.Cookie.Name?.TrimStart('.');
            }
        }
    }

    public ValidateOptionsResult Validate(string? name, SessionOptions options) =>
        security.Value.UseHostCookie && (options.Cookie.Domain is not null || options.Cookie.Path != "/")
            ? ValidateOptionsResult.Fail("SessionSecurityOptions.UseHostCookie needs a session cookie of the whole host. Leave SessionOptions.Cookie.Domain null and write \"/\" for Path, or set UseHostCookie to false.")
            : ValidateOptionsResult.Success;
}
