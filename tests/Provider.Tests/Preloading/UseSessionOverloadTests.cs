using RedisSessions.Tests.Preloading.Later;

namespace RedisSessions.Tests.Preloading
{
    /// <summary>
    /// Which UseSession an application calls. That this file compiles is most of what it shows: whatever overload ASP.NET Core or the
    /// application adds, no call is ambiguous.
    /// </summary>
    public sealed class UseSessionOverloadTests
    {
        private static WebApplication NewApp(bool ours)
        {
            var builder = WebApplication.CreateSlimBuilder();
            if (ours)
            {
                builder.Services.AddRedisSession("localhost:6379");
            }
            else
            {
                builder.Services.AddSession();
            }

            return builder.Build();
        }

        [Fact]
        public void A_web_applications_own_method_in_the_same_scope_is_called()
        {
            using var app = new Stopping(NewApp(ours: true));
            Assert.IsType<CalledLater>(app.Value.UseSession());
            Assert.IsType<CalledLater>(app.Value.UseSession(new SessionOptions()));
        }

        [Fact]
        public void Every_way_to_call_it_compiles()
        {
            using var app = new Stopping(NewApp(ours: true));
            Assert.Same(app.Value, Called.InEveryWay(app.Value));
        }

        [Fact]
        public void Null_is_refused_as_in_the_box()
        {
            using var app = new Stopping(NewApp(ours: false));
            Assert.Throws<ArgumentNullException>(() => SessionWebApplicationExtensions.UseSession<WebApplication>(null!));
            Assert.Throws<ArgumentNullException>(() => SessionWebApplicationExtensions.UseSession(app.Value, null!));
        }

        private sealed class Stopping(WebApplication app) : IDisposable
        {
            public WebApplication Value => app;

            public void Dispose() => ((IDisposable)app).Dispose();
        }
    }
}

namespace RedisSessions.Tests.Preloading.Later
{
    /// <summary>As ASP.NET Core may have it one day.</summary>
    internal static class LaterSessionMiddlewareExtensions
    {
        public static IApplicationBuilder UseSession(this WebApplication app) => new CalledLater(app);

        public static IApplicationBuilder UseSession(this WebApplication app, SessionOptions options) => new CalledLater(app);
    }

    internal sealed class CalledLater(IApplicationBuilder app) : IApplicationBuilder
    {
        public IServiceProvider ApplicationServices { get => app.ApplicationServices; set => app.ApplicationServices = value; }

        public Microsoft.AspNetCore.Http.Features.IFeatureCollection ServerFeatures => app.ServerFeatures;

        public IDictionary<string, object?> Properties => app.Properties;

        public RequestDelegate Build() => app.Build();

        public IApplicationBuilder New() => app.New();

        public IApplicationBuilder Use(Func<RequestDelegate, RequestDelegate> middleware) => app.Use(middleware);
    }
}
