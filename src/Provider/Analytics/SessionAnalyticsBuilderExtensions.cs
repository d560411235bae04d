using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Analytics;
using RedisSessions.Sessions;

namespace Microsoft.Extensions.DependencyInjection
{
    /// <summary>Adds events, counters and daily reports.</summary>
    public static class SessionAnalyticsBuilderExtensions
    {
        /// <summary>
        /// Counts what happens in sessions and reports it through <see cref="ISessionAnalytics"/>. Requests wait for none of it.
        /// </summary>
        /// <param name="builder">What AddRedisSession returned.</param>
        /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
        public static RedisSessionBuilder AddAnalytics(this RedisSessionBuilder builder, Action<SessionAnalyticsOptions>? configure = null)
        {
            ArgumentNullException.ThrowIfNull(builder);
            var services = builder.Services;
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<SessionAnalyticsOptions>, Validator>());
            var options = services.AddOptions<SessionAnalyticsOptions>().ValidateOnStart();
            if (configure is not null)
            {
                options.Configure(configure);
            }

            services.TryAddSingleton<AnalyticsStore>();
            services.TryAddSingleton<AnalyticsWriter>();
            services.TryAddSingleton<AnalyticsRecorder>();
            services.TryAddSingleton<SessionAnalytics>();
            services.TryAddSingleton<ISessionAnalytics>(static provider => provider.GetRequiredService<SessionAnalytics>());
            services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, AnalyticsRecorder>(static provider => provider.GetRequiredService<AnalyticsRecorder>()));
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, AnalyticsWriter>(provider => provider.GetRequiredService<AnalyticsWriter>()));
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ExpirationListener>());
            return builder;
        }

        private sealed class Validator : IValidateOptions<SessionAnalyticsOptions>
        {
            public ValidateOptionsResult Validate(string? name, SessionAnalyticsOptions options)
            {
                var errors = new List<string>();
                Check(options.RetentionDays >= 2, "RetentionDays", "a number of at least 2");
                Check(options.EventsPerSession >= 1, "EventsPerSession", "a number of at least 1");
                Check(options.QueueCapacity >= 1, "QueueCapacity", "a number of at least 1");
                Check(options.MaxEventNameLength >= 1, "MaxEventNameLength", "a number of at least 1");
                Check(options.MaxEventDataLength >= 0, "MaxEventDataLength", "a number of at least 0");
                Check(options.MaxEventNamesPerDay >= 1, "MaxEventNamesPerDay", "a number of at least 1");
                Check(options.TopCount is >= 1 and <= 1_000, "TopCount", "a number between 1 and 1,000");
                Check(options.ActiveWindow > TimeSpan.Zero, "ActiveWindow", "a positive time span");
                Check(options.EventRetention > TimeSpan.Zero, "EventRetention", "a positive time span");
                Check(options.FlushInterval > TimeSpan.Zero, "FlushInterval", "a positive time span");
                Check(options.SweepInterval > TimeSpan.Zero, "SweepInterval", "a positive time span");
                return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);

                void Check(bool valid, string option, string what)
                {
                    if (!valid)
                    {
                        errors.Add($"SessionAnalyticsOptions.{option} is out of range. Write {what}.");
                    }
                }
            }
        }
    }
}

namespace Microsoft.AspNetCore.Http
{
    /// <summary>Events of the current session. Needs <c>AddRedisSession(...).AddAnalytics()</c>.</summary>
    public static class SessionAnalyticsExtensions
    {
        /// <summary>
        /// Records an event of this session. See <see cref="ISessionAnalytics.TrackAsync"/>. While the session is not stored it waits
        /// until it is; an event of a session that never is stored is not recorded.
        /// </summary>
        /// <param name="session">The session.</param>
        /// <param name="eventName">What happened.</param>
        /// <param name="data">More about it; may be <see langword="null"/>.</param>
        /// <exception cref="InvalidOperationException">Analytics is not registered.</exception>
        public static void Track(this ISession session, string eventName, string? data = null)
        {
            var ours = RedisSessionExtensions.Require(session);
            var analytics = ours.Context?.RequestServices.GetService<SessionAnalytics>()
                ?? throw new InvalidOperationException("Analytics is not registered. Write services.AddRedisSession(...).AddAnalytics().");

            analytics.Track(ours, eventName, data);
        }
    }
}
