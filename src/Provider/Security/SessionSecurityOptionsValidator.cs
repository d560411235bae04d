using Microsoft.Extensions.Options;

namespace RedisSessions.Security;

internal sealed class SessionSecurityOptionsValidator : IValidateOptions<SessionSecurityOptions>
{
    public ValidateOptionsResult Validate(string? name, SessionSecurityOptions options)
    {
        var errors = new List<string>();
        Check(options.IPv4PrefixLength is >= 1 and <= 32, "IPv4PrefixLength", "between 1 and 32");
        Check(options.IPv6PrefixLength is >= 1 and <= 128, "IPv6PrefixLength", "between 1 and 128");
        Check(options.MaxFieldCount >= 1, "MaxFieldCount", "of at least 1");
        Check(options.MaxFieldSize >= 1, "MaxFieldSize", "of at least 1 byte");
        Check(options.MaxSessionSize >= 1, "MaxSessionSize", "of at least 1 byte");
        Check(options.MaxCreationsPerMinute >= 0, "MaxCreationsPerMinute", "of at least 0, which is no limit");
        if (options.Fingerprint && options.FingerprintHeaders.Count == 0)
        {
            errors.Add("SessionSecurityOptions.FingerprintHeaders is empty. Add a header name, for example \"User-Agent\", or set Fingerprint to false.");
        }

        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);

        void Check(bool valid, string option, string what)
        {
            if (!valid)
            {
                errors.Add($"SessionSecurityOptions.{option} is out of range. Write a number {what}.");
            }
        }
    }
}
