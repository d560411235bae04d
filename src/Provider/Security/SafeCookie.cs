using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace RedisSessions.Security;

/// <summary>
/// The session cookie's defaults outside Development: Secure and HttpOnly. Defaults: this comes before all that the application
/// configures, wherever it does, so what the application says about its cookie it gets.
/// </summary>
internal sealed class SafeCookie(IServiceProvider services) : IConfigureOptions<SessionOptions>
{
    public void Configure(SessionOptions options)
    {
        if (services.GetService<IHostEnvironment>()?.IsDevelopment() != true)
        {
            options.Cookie.SecurePolicy = CookieSecurePolicy.Always;
            options.Cookie.HttpOnly = true;
        }
    }

    public static void PutFirst(IServiceCollection services)
    {
        if (!services.Any(static service => !service.IsKeyedService && service.ImplementationType == typeof(SafeCookie)))
        {
            services.Insert(0, ServiceDescriptor.Singleton<IConfigureOptions<SessionOptions>, SafeCookie>());
        }
    }
}
