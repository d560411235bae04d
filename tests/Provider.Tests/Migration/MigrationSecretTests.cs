using System.Text;

namespace RedisSessions.Tests.Migration;

/// <summary>
/// Microsoft's keys hold the secret that the cookie protects, and StackExchange.Redis names the key that a failed command was
/// about: no such text may reach the application, the server or a log.
/// </summary>
public sealed class MigrationSecretTests : IAsyncDisposable
{
    private readonly Fleet _fleet = new();
    private RedisProcess? _redis;
    private KestrelSite? _site;

    public MigrationSecretTests() => RedisServer.SkipUnlessInstalled();

    private string SecretOf(Browser browser)
    {
        var text = Uri.UnescapeDataString(browser.Cookies[Browser.SessionCookie]);
        var bytes = Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='));
        return Encoding.UTF8.GetString(_fleet.Protection.CreateProtector("SessionMiddleware").Unprotect(bytes));
    }

    [Theory]
    [InlineData("stopped", false)]
    [InlineData("stopped", true)]
    [InlineData("paused", false)]
    [InlineData("paused", true)]
    public async Task No_log_and_no_exception_holds_the_secret_while_redis_is_away(string how, bool writeBoth)
    {
        _redis = await RedisProcess.StartAsync();
        _site = await KestrelSite.StartPipelineAsync(
            $"{_redis.Address},syncTimeout=200,asyncTimeout=200",
            _fleet,
            app =>
            {
                app.UseSession();
                Pages.Map(app);
                app.MapGet("/text/{what}", async (HttpContext context, string what) =>
                {
                    try
                    {
                        await (what == "destroy" ? context.Session.DestroyAsync() : context.Session.RegenerateIdAsync());
                        await context.Session.CommitAsync();
                        return "";
                    }
                    catch (Exception exception)
                    {
                        return exception.ToString();
                    }
                });
            },
            addOns: builder => builder.AddMicrosoftSessionMigration("shop:", o => o.WriteBoth = writeBoth));
        var browser = _site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var secret = SecretOf(browser);
        if (how == "stopped")
        {
            _redis.Stop();
        }
        else
        {
            _redis.Pause();
        }

        var pages = new StringBuilder();
        foreach (var path in new[] { "/get/a", "/set/a/2", "/clear", "/regenerate", "/destroy", "/text/destroy", "/text/regenerate" })
        {
            pages.AppendLine((await browser.Copy().TryAsync(path)).Body);
        }

        Assert.DoesNotContain(secret, pages.ToString(), StringComparison.Ordinal);
        foreach (var entry in _site.Log.Entries)
        {
            Assert.DoesNotContain(secret, entry.ToString(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task No_log_holds_the_secret_when_the_connection_is_cut_at_any_command(bool writeBoth)
    {
        _redis = await RedisProcess.StartAsync();
        using var proxy = new RedisProxy(_redis.Address);
        _site = await KestrelSite.StartPipelineAsync(
            proxy.Address + RedisServer.Patient,
            _fleet,
            app =>
            {
                app.UseSession();
                Pages.Map(app);
            },
            addOns: builder => builder.AddMicrosoftSessionMigration("shop:", o => o.WriteBoth = writeBoth));

        // Each command of the request in turn meets a connection that is cut, which fails with the command and its key in the text.
        var secrets = new List<string>();
        var onlooker = _site.NewBrowser();
        await onlooker.GetAsync("/set/here/1");
        foreach (var path in new[] { "/get/a", "/set/a/2", "/regenerate", "/destroy" })
        {
            for (var (step, struck) = (0, true); struck; step++)
            {
                var browser = _site.NewBrowser();
                await browser.GetAsync("/set/a/1");
                secrets.Add(SecretOf(browser));
                (var left, struck) = (step, false);
                proxy.BeforeCommand = _ =>
                {
                    if (left-- == 0)
                    {
                        struck = true;
                        proxy.LoseNextReply();
                    }

                    return Task.CompletedTask;
                };
                await browser.TryAsync(path);
                proxy.BeforeCommand = null;
                await Eventually.TrueAsync(async () => await onlooker.GetAsync("/get/here") == "1", what: "Redis is back");
            }
        }

        var log = string.Join('\n', _site.Log.Entries);
        foreach (var secret in secrets)
        {
            Assert.DoesNotContain(secret, log, StringComparison.Ordinal);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_site is not null)
        {
            await _site.DisposeAsync();
        }

        _redis?.Dispose();
    }
}
