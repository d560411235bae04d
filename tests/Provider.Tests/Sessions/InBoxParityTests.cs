using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.CookiePolicy;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// What is exactly as with the in-box session. The last derived class runs all of it over Microsoft's own store, so no test here
/// can claim for Microsoft's session what it does not do.
/// </summary>
public abstract class InBoxParityTests(RedisServer server) : InBoxTest(server)
{
    private const string NoCache = "no-cache";

    // Microsoft's: ReadingEmptySessionDoesNotCreateCookie.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reading_an_empty_session_creates_no_cookie(bool asEndpoint)
    {
        var site = await StartPageAsync(
            async context =>
            {
                Assert.Null(context.Session.GetString("none"));
                Assert.False(context.Session.TryGetValue("none", out var value));
                Assert.Null(value);
                Assert.Empty(context.Session.Keys);
                Assert.True(context.Session.IsAvailable);
                Assert.NotEmpty(context.Session.Id);
                context.Session.Remove("none");
                context.Session.Clear();
                await context.Session.LoadAsync();
                await context.Session.CommitAsync();
            },
            asEndpoint);
        using var response = await site.NewBrowser().SendAsync(HttpMethod.Get, "/");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(SetCookies(response));
        Assert.Null(response.Headers.CacheControl);
    }

    // Microsoft's: SettingAValueCausesTheCookieToBeCreated. And the headers that keep caches from handing it to others.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_first_value_brings_one_cookie_and_forbids_caching_and_later_ones_do_neither(bool asEndpoint)
    {
        var site = await StartPageAsync(
            context =>
            {
                context.Session.SetString("key", "value");
                Assert.Equal("value", context.Session.GetString("key"));
                return Task.CompletedTask;
            },
            asEndpoint);
        var browser = site.NewBrowser();
        using var first = await browser.SendAsync(HttpMethod.Get, "/");
        var cookie = Assert.Single(SetCookies(first));
        Assert.Matches("^\\.AspNetCore\\.Session=[^;]{100,}; path=/; samesite=lax; httponly$", cookie);
        Assert.Equal([NoCache, "no-store"], first.Headers.GetValues("Cache-Control").SelectMany(value => value.Split(',')).Select(value => value.Trim()).Order());
        Assert.Equal([NoCache], first.Headers.GetValues("Pragma"));
        Assert.Equal(["-1"], first.Content.Headers.GetValues("Expires"));

        using var second = await browser.SendAsync(HttpMethod.Get, "/");
        Assert.Empty(SetCookies(second));
        Assert.Null(second.Headers.CacheControl);
        Assert.False(second.Headers.Contains("Pragma"));
    }

    // Microsoft's: SecureSessionBasedOnHttpsAndSecurePolicy, with options handed to UseSession as there.
    [Theory]
    [InlineData(CookieSecurePolicy.Always, "http", true)]
    [InlineData(CookieSecurePolicy.Always, "https", true)]
    [InlineData(CookieSecurePolicy.None, "http", false)]
    [InlineData(CookieSecurePolicy.None, "https", false)]
    [InlineData(CookieSecurePolicy.SameAsRequest, "http", false)]
    [InlineData(CookieSecurePolicy.SameAsRequest, "https", true)]
    public async Task The_cookie_is_secure_as_the_policy_and_the_request_say(CookieSecurePolicy policy, string scheme, bool secure)
    {
        var site = await StartPageAsync(
            _ => Task.CompletedTask,
            beforeSession: app => app.Map("/own", branch =>
            {
                branch.UseSession(new SessionOptions { Cookie = { Name = "TestCookie", SecurePolicy = policy } });
                branch.Run(context =>
                {
                    context.Session.SetString("key", "value");
                    return Task.CompletedTask;
                });
            }));
        using var response = await site.NewBrowser().SendAsync(HttpMethod.Get, $"{scheme}://example.com/own/path");
        var cookie = Assert.Single(SetCookies(response));
        Assert.StartsWith("TestCookie=", cookie);
        Assert.Equal(secure, cookie.Contains("; secure", StringComparison.Ordinal));
    }

    // Microsoft's has no test of these: what SessionOptions.Cookie says is on the cookie.
    [Fact]
    public async Task The_cookie_has_every_property_that_the_options_say()
    {
        var site = await StartPageAsync(
            context =>
            {
                context.Session.SetString("key", "value");
                return Task.CompletedTask;
            },
            session: o =>
            {
                o.Cookie.Name = "sid";
                o.Cookie.Path = "/shop";
                o.Cookie.Domain = "example.com";
                o.Cookie.SameSite = SameSiteMode.None;
                o.Cookie.SecurePolicy = CookieSecurePolicy.Always;
                o.Cookie.HttpOnly = false;
                o.Cookie.MaxAge = TimeSpan.FromMinutes(5);
                o.Cookie.Extensions.Add("partitioned");
            });
        using var response = await site.NewBrowser().SendAsync(HttpMethod.Get, "/shop");
        Assert.Matches("^sid=[^;]+; max-age=300; domain=example.com; path=/shop; secure; samesite=none; partitioned$", Assert.Single(SetCookies(response)));
    }

    // Microsoft's has no test of this: a cookie that is not essential waits for consent, and the session with it.
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, true)]
    public async Task Without_consent_only_an_essential_cookie_goes_out(bool isEssential, bool goesOut)
    {
        var site = await StartPageAsync(
            context =>
            {
                context.Session.SetString("key", "value");
                return Task.CompletedTask;
            },
            session: o => o.Cookie.IsEssential = isEssential,
            beforeSession: app => app.UseCookiePolicy(new CookiePolicyOptions { CheckConsentNeeded = _ => true, HttpOnly = HttpOnlyPolicy.Always }));
        using var response = await site.NewBrowser().SendAsync(HttpMethod.Get, "/");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(goesOut ? 1 : 0, SetCookies(response).Count);
    }

    // Microsoft's: SessionCanBeAccessedOnTheNextRequest.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_value_is_there_on_the_next_request(bool asEndpoint)
    {
        var site = await StartPageAsync(
            context =>
            {
                var value = context.Session.GetInt32("key") ?? 0;
                context.Session.SetInt32("key", value + 1);
                return context.Response.WriteAsync(value.ToString(CultureInfo.InvariantCulture));
            },
            asEndpoint);
        var browser = site.NewBrowser();
        for (var i = 0; i < 4; i++)
        {
            Assert.Equal($"{i}", await browser.GetAsync("/"));
        }
    }

    // Microsoft's: RemovedItemCannotBeAccessedAgain, ClearedItemsCannotBeAccessedAgain.
    [Theory]
    [InlineData("/remove", false)]
    [InlineData("/remove", true)]
    [InlineData("/clear", false)]
    [InlineData("/clear", true)]
    public async Task What_was_removed_or_cleared_is_gone_in_this_request_and_the_next(string how, bool asEndpoint)
    {
        var site = await StartPageAsync(
            context =>
            {
                var value = context.Session.GetInt32("key");
                switch (context.Request.Path.Value)
                {
                    case "/set":
                        context.Session.SetInt32("key", 1);
                        break;
                    case "/remove":
                        context.Session.Remove("key");
                        Assert.Null(context.Session.GetInt32("key"));
                        break;
                    case "/clear":
                        context.Session.Clear();
                        Assert.Null(context.Session.GetInt32("key"));
                        break;
                }

                return context.Response.WriteAsync($"{value}");
            },
            asEndpoint);
        var browser = site.NewBrowser();
        Assert.Equal("", await browser.GetAsync("/set"));
        Assert.Equal("1", await browser.GetAsync(how));
        Assert.Equal("", await browser.GetAsync("/get"));
    }

    // Microsoft's: SessionStart_LogsInformation.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Starting_a_session_is_logged_as_started_and_stored(bool asEndpoint)
    {
        var site = await StartPageAsync(
            context =>
            {
                context.Session.SetString("key", "value");
                return Task.CompletedTask;
            },
            asEndpoint);
        await site.NewBrowser().GetAsync("/");
        Assert.Equal([(LogLevel.Information, 3, "Session started"), (LogLevel.Debug, 5, "Session stored")], InBoxEvents(site));
    }

    // Microsoft's has no test of this: a load that finds a session is logged, too, and one that changes nothing stores nothing.
    [Fact]
    public async Task Loading_a_session_is_logged_as_loaded()
    {
        var site = await StartPageAsync(context =>
        {
            if (context.Request.Path == "/set")
            {
                context.Session.SetString("key", "value");
            }

            return context.Response.WriteAsync(context.Session.GetString("key")!);
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set");
        site.Log.Clear();
        await browser.GetAsync("/get");
        Assert.Equal([(LogLevel.Debug, 4, "Session loaded")], InBoxEvents(site));
    }

    // Microsoft's: ExpiredSession_LogsInfo. And the cookie stays as it is: the next value begins the session again under its key.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_expired_is_empty_and_logged_and_begins_again_under_the_same_cookie(bool asEndpoint)
    {
        var site = await StartPageAsync(
            context =>
            {
                var value = context.Session.GetInt32("key");
                if (context.Request.Path == "/set")
                {
                    context.Session.SetInt32("key", 1);
                }

                return context.Response.WriteAsync($"{value}");
            },
            asEndpoint,
            session: o => o.IdleTimeout = TimeSpan.FromMilliseconds(30));
        var browser = site.NewBrowser();
        Assert.Equal("", await browser.GetAsync("/set"));
        var cookie = browser.Cookies[Browser.SessionCookie];
        if (IsMicrosofts)
        {
            await Task.Delay(100);
        }
        else
        {
            var key = KeyOf(Open(site, Unprotect(cookie), isNew: true).Id);
            await Eventually.TrueAsync(async () => !await (await DatabaseAsync()).KeyExistsAsync(key));
        }

        Assert.Equal("", await browser.GetAsync("/get"));
        (LogLevel, int, string)[] expected =
            [(LogLevel.Information, 3, "Session started"), (LogLevel.Debug, 5, "Session stored"), (LogLevel.Information, 2, "Accessing expired session")];
        Assert.Equal(expected, InBoxEvents(site));

        site.Log.Clear();
        using var again = await browser.SendAsync(HttpMethod.Get, "/set");
        Assert.Equal("", await again.Content.ReadAsStringAsync());
        Assert.Empty(SetCookies(again));
        Assert.Equal(cookie, browser.Cookies[Browser.SessionCookie]);
        Assert.Equal([expected[2], expected[0], expected[1]], InBoxEvents(site));
    }

    // Microsoft's: SessionFeature_IsUnregistered_WhenResponseGoingOut, ..._AndAnUnhandledExcetionIsThrown.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_session_is_gone_from_the_context_when_the_request_leaves_its_middleware(bool throws)
    {
        var site = await StartPageAsync(
            context =>
            {
                context.Session.SetString("key", "value");
                return throws ? throw new InvalidOperationException("A page's own.") : Task.CompletedTask;
            },
            beforeSession: app => app.Use(async (HttpContext context, RequestDelegate next) =>
            {
                var thrown = await Record.ExceptionAsync(() => next(context));
                Assert.Equal(throws, thrown is InvalidOperationException { Message: "A page's own." });
                Assert.Null(context.Features.Get<ISessionFeature>());
                Assert.Throws<InvalidOperationException>(() => context.Session);
            }));
        using var response = await site.NewBrowser().SendAsync(HttpMethod.Get, "/");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    // Microsoft's has no test of this: what a page set before it threw is kept.
    [Fact]
    public async Task What_a_page_set_before_it_threw_is_stored()
    {
        var site = await StartPageAsync(
            context =>
            {
                if (context.Request.Path == "/get")
                {
                    return context.Response.WriteAsync(context.Session.GetString("key") ?? "");
                }

                context.Session.SetString("key", context.Request.Path);
                return context.Request.Path == "/throw" ? throw new InvalidOperationException() : Task.CompletedTask;
            },
            beforeSession: app => app.Use((HttpContext context, RequestDelegate next) => Record.ExceptionAsync(() => next(context)).AsTask()));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set");
        await browser.GetAsync("/throw");
        Assert.Equal("/throw", await browser.GetAsync("/get"));
    }

    // Microsoft's: SessionKeys_AreCaseSensitive. In the next request, too.
    [Fact]
    public async Task Keys_are_case_sensitive()
    {
        var site = await StartPageAsync(context =>
        {
            if (context.Request.Path == "/set")
            {
                context.Session.SetString("KEY", "VALUE");
                context.Session.SetString("key", "value");
            }

            return context.Response.WriteAsync($"{context.Session.GetString("KEY")} {context.Session.GetString("key")} {context.Session.GetString("Key")}");
        });
        var browser = site.NewBrowser();
        Assert.Equal("VALUE value ", await browser.GetAsync("/set"));
        Assert.Equal("VALUE value ", await browser.GetAsync("/get"));
    }

    // Microsoft's: SessionLoadAsyncCanceledException.
    [Fact]
    public async Task A_cancelled_load_throws_and_logs_nothing()
    {
        var site = await StartPageAsync(async context =>
            await Assert.ThrowsAsync<OperationCanceledException>(() => context.Session.LoadAsync(new CancellationToken(canceled: true))));
        await site.NewBrowser().GetAsync("/");
        Assert.Empty(InBoxLog(site));
    }

    // As the one before, of a session that is there: it can be read all the same.
    [Fact]
    public async Task After_a_cancelled_load_the_session_can_be_read_and_changed()
    {
        var site = await StartPageAsync(async context =>
        {
            if (context.Request.Path == "/cancel")
            {
                await Assert.ThrowsAsync<OperationCanceledException>(() => context.Session.LoadAsync(new CancellationToken(canceled: true)));
            }

            var value = context.Session.GetString("key");
            context.Session.SetString("key", context.Request.Path);
            await context.Response.WriteAsync(value ?? "");
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set");
        site.Log.Clear();
        Assert.Equal("/set", await browser.GetAsync("/cancel"));
        Assert.Equal([(LogLevel.Debug, 4, "Session loaded"), (LogLevel.Debug, 5, "Session stored")], InBoxEvents(site));
        Assert.Equal("/cancel", await browser.GetAsync("/get"));
    }

    // Microsoft's: SessionLogsCacheCommitCanceledException.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_cancelled_commit_throws_and_the_end_of_the_request_commits_all_the_same(bool asEndpoint)
    {
        var site = await StartPageAsync(
            async context =>
            {
                if (context.Request.Path == "/get")
                {
                    await context.Response.WriteAsync(context.Session.GetString("key") ?? "");
                    return;
                }

                context.Session.SetString("key", "value");
                await Assert.ThrowsAsync<OperationCanceledException>(() => context.Session.CommitAsync(new CancellationToken(canceled: true)));
            },
            asEndpoint);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set");
        Assert.Equal([(LogLevel.Information, 3, "Session started"), (LogLevel.Debug, 5, "Session stored")], InBoxEvents(site));
        Assert.Equal("value", await browser.GetAsync("/get"));
    }

    // Microsoft's: RequestAbortedIgnored.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_set_is_stored_though_the_request_counts_as_aborted(bool asEndpoint)
    {
        var site = await StartPageAsync(
            context =>
            {
                if (context.Request.Path == "/get")
                {
                    return context.Response.WriteAsync(context.Session.GetString("key") ?? "");
                }

                context.Session.SetString("key", "value");
                context.RequestAborted = new CancellationToken(canceled: true);
                return Task.CompletedTask;
            },
            asEndpoint);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set");
        Assert.Equal([(LogLevel.Information, 3, "Session started"), (LogLevel.Debug, 5, "Session stored")], InBoxEvents(site));
        Assert.Equal("value", await browser.GetAsync("/get"));
    }

    // As the one before, with a browser that really went away.
    [Fact]
    public async Task What_was_set_is_stored_though_the_browser_went_away()
    {
        var arrived = new SemaphoreSlim(0);
        var left = new SemaphoreSlim(0);
        var site = await StartPageAsync(
            async context =>
            {
                if (context.Request.Path == "/abort")
                {
                    var aborted = new TaskCompletionSource();
                    context.RequestAborted.Register(aborted.SetResult);
                    arrived.Release();
                    await aborted.Task;
                    context.Session.SetString("key", "late");
                    return;
                }

                if (context.Request.Path == "/set")
                {
                    context.Session.SetString("key", "early");
                }

                await context.Response.WriteAsync(context.Session.GetString("key")!);
            },
            beforeSession: app => app.Use(async (HttpContext context, RequestDelegate next) =>
            {
                await next(context);
                left.Release();
            }));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set");
        await left.WaitAsync();
        site.Log.Clear();

        using var client = site.Server.CreateClient();
        client.DefaultRequestHeaders.Add("Cookie", $"{Browser.SessionCookie}={browser.Cookies[Browser.SessionCookie]}");
        using var abort = new CancellationTokenSource();
        var request = client.GetAsync("/abort", abort.Token);
        await arrived.WaitAsync();
        await abort.CancelAsync();
        Assert.NotNull(await Record.ExceptionAsync(() => request));
        await left.WaitAsync();
        Assert.Equal([(LogLevel.Debug, 4, "Session loaded"), (LogLevel.Debug, 5, "Session stored")], InBoxEvents(site));
        Assert.Equal("late", await browser.GetAsync("/get"));
    }

    // Microsoft's has no test of this: a page that keeps its session can still change and commit it after the request.
    [Fact]
    public async Task A_session_kept_beyond_its_request_can_be_changed_and_committed()
    {
        ISession? kept = null;
        var site = await StartPageAsync(async context =>
        {
            await context.Response.WriteAsync(context.Session.GetString("key") ?? "");
            if (context.Request.Path == "/keep")
            {
                kept = context.Session;
            }
            else if (context.Request.Path == "/set")
            {
                context.Session.SetString("other", "1");
            }
        });
        var browser = BrowserWith(site, Protect(NewSecret()));
        await browser.GetAsync("/set");
        await browser.GetAsync("/keep");
        Assert.NotNull(kept);
        kept.SetString("key", "afterwards");
        await kept.CommitAsync();
        Assert.Equal("afterwards", await browser.GetAsync("/get"));
    }

    public static TheoryData<string, bool> BadCookies => new()
    {
        { "", false },
        { "not_base64", true },
        { "%00", true },
        { "CfDJ8AAAA", true },
        { new string('A', 4000), true },
        { "forged", true },
        { "truncated", true },
        { "short", false },
        { "long", false },
        { "very long", false },
        { "blank", false },
    };

    // Microsoft's has no test of these: a cookie that is no cookie of ours, logged once where it cannot be unprotected (event 7), is
    // that of a new visitor.
    [Theory]
    [MemberData(nameof(BadCookies))]
    public async Task A_bad_cookie_is_that_of_a_new_visitor(string cookie, bool isLogged)
    {
        var site = await StartPageAsync(context =>
        {
            if (context.Request.Path == "/set")
            {
                context.Session.SetString("key", "value");
            }

            return context.Response.WriteAsync(context.Session.GetString("key") ?? "");
        });
        var value = cookie switch
        {
            "forged" => Protect(new EphemeralDataProtectionProvider(), NewSecret()),
            "truncated" => Protect(NewSecret())[..100],
            "short" => Protect(NewSecret()[1..]),
            "long" => Protect(NewSecret() + "x"),
            "very long" => Protect(new string('x', 2000)),
            "blank" => Protect(new string(' ', 36)),
            _ => cookie,
        };
        var browser = BrowserWith(site, value);
        using (var response = await browser.SendAsync(HttpMethod.Get, "/get"))
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Empty(SetCookies(response));
        }

        IEnumerable<(LogLevel, int, string)> expected = isLogged ? [(LogLevel.Warning, 7, "Error unprotecting the session cookie.")] : [];
        Assert.Equal(expected, InBoxEvents(site));
        Assert.Equal("value", await browser.GetAsync("/set"));
        Assert.NotEqual(value, browser.Cookies[Browser.SessionCookie]);
        Assert.Equal("value", await browser.GetAsync("/get"));
    }

    // Microsoft's has no test of this: the exception and its text once the cookie cannot go out any more.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_first_value_after_the_response_started_throws_as_the_in_box_session_does(bool asEndpoint)
    {
        Exception? thrown = null;
        var site = await StartPageAsync(
            async context =>
            {
                await context.Response.WriteAsync("started");
                thrown = Record.Exception(() => context.Session.SetString("key", "value"));
                Assert.Empty(context.Session.Keys);
            },
            asEndpoint);
        using var response = await site.NewBrowser().SendAsync(HttpMethod.Get, "/");
        Assert.Equal("started", await response.Content.ReadAsStringAsync());
        Assert.Empty(SetCookies(response));
        Assert.Empty(InBoxLog(site));
        Assert.Equal(
            Assert.Throws<InvalidOperationException>(() => Microsofts(mayEstablish: false).SetString("key", "value")).Message,
            Assert.IsType<InvalidOperationException>(thrown).Message);
    }

    public static TheoryData<string, Action<ISession>> WrongArguments => new()
    {
        { "no value", session => session.Set("key", null!) },
        { "no value and no key", session => session.Set(null!, null!) },
        { "no key", session => session.Set(null!, []) },
        { "no key to read", session => session.TryGetValue(null!, out _) },
        { "no key to remove", session => session.Remove(null!) },
        { "a key too long", session => session.Set(new string('k', ushort.MaxValue + 1), []) },
        { "a key too long in UTF-8", session => session.Set(new string('é', (ushort.MaxValue / 2) + 1), []) },
    };

    // Microsoft's has no test of these.
    [Theory]
    [MemberData(nameof(WrongArguments), DisableDiscoveryEnumeration = true)]
    public async Task A_wrong_argument_throws_as_the_in_box_session_does(string argument, Action<ISession> use)
    {
        var site = await StartPageAsync(_ => Task.CompletedTask);
        var expected = Record.Exception(() => use(Microsofts()));
        var thrown = Record.Exception(() => use(Open(site, NewSecret(), isNew: true)));
        Assert.NotNull(expected);
        Assert.Equal(expected.GetType(), thrown?.GetType());
        if (!argument.StartsWith("no key", StringComparison.Ordinal))
        {
            // Microsoft's names the parameter of the method that happened to look at the key.
            Assert.Equal(expected.Message, thrown!.Message);
        }
    }

    // Microsoft's has no test of these.
    [Fact]
    public async Task The_store_checks_its_arguments_as_the_in_box_store_does()
    {
        var site = await StartPageAsync(_ => Task.CompletedTask);
        var microsofts = new DistributedSessionStore(NewCache(), NullLoggerFactory.Instance);
        var store = site.Services.GetRequiredService<ISessionStore>();
        foreach (var create in new Action<ISessionStore>[]
        {
            tried => tried.Create(null!, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), () => true, true),
            tried => tried.Create("", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), () => true, true),
            tried => tried.Create("key", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), null!, true),
        })
        {
            var expected = Record.Exception(() => create(microsofts))!;
            var thrown = Record.Exception(() => create(store));
            Assert.Equal(expected.GetType(), thrown?.GetType());
            Assert.Equal(expected.Message, thrown!.Message);
        }
    }

    public static TheoryData<string, Func<ISession, string>> Uses => new()
    {
        {
            "keys that were asked for before one was set, removed or all were cleared show it", session =>
            {
                var keys = session.Keys;
                session.Set("new", []);
                var withNew = string.Join(",", keys.Order());
                session.Remove("a");
                var withoutA = string.Join(",", keys.Order());
                session.Clear();
                return $"{withNew} {withoutA} {keys.Count()}";
            }
        },
        {
            "keys may be removed while they are enumerated", session =>
            {
                foreach (var key in session.Keys)
                {
                    session.Remove(key);
                }

                return $"{session.Keys.Count()}";
            }
        },
        {
            "values may be replaced while keys are enumerated", session =>
            {
                var seen = 0;
                foreach (var key in session.Keys)
                {
                    session.SetString(key, "replaced");
                    seen++;
                }

                return $"{seen} {string.Join(",", session.Keys.Select(session.GetString))}";
            }
        },
        {
            "values may be replaced while keys are enumerated, one having been replaced before", session =>
            {
                session.SetString("b", "before");
                session.SetString("d", "before");
                var seen = 0;
                foreach (var key in session.Keys)
                {
                    session.SetString(key, "replaced");
                    seen++;
                }

                return $"{seen} {string.Join(",", session.Keys.Select(session.GetString))}";
            }
        },
        {
            "an empty value and an empty key are a value and a key", session =>
            {
                session.Set("", []);
                return $"{session.TryGetValue("", out var value)} {value?.Length} {session.Keys.Count()}";
            }
        },
        {
            "a value set is a copy", session =>
            {
                byte[] mine = [1];
                session.Set("mine", mine);
                mine[0] = 2;
                return $"{session.Get("mine")![0]}";
            }
        },
        {
            "a key of the longest kind is taken", session =>
            {
                session.Set(new string('k', ushort.MaxValue), [1]);
                return $"{session.TryGetValue(new string('k', ushort.MaxValue), out _)}";
            }
        },
        {
            "what is set and removed again was never there", session =>
            {
                session.Set("new", [1]);
                session.Remove("new");
                return $"{session.TryGetValue("new", out var value)} {value is null} {string.Join(",", session.Keys.Order())}";
            }
        },
        {
            "what is set after a clear stays", session =>
            {
                session.Clear();
                session.Set("new", [1]);
                return string.Join(",", session.Keys.Order());
            }
        },
    };

    // Microsoft's has no test of these.
    [Theory]
    [MemberData(nameof(Uses), DisableDiscoveryEnumeration = true)]
    public async Task A_use_has_the_outcome_that_it_has_with_the_in_box_session(string use, Func<ISession, string> outcome)
    {
        var site = await StartPageAsync(_ => Task.CompletedTask);
        var cache = NewCache();
        var (expected, expectedStored) = await OutcomeAsync(secret => Microsofts(cache, secret));
        var (actual, stored) = await OutcomeAsync(secret => Open(site, secret));
        Assert.Equal((use, expected), (use, actual));
        Assert.Equal(expectedStored, stored);

        async Task<(string Outcome, string Stored)> OutcomeAsync(Func<string, ISession> open)
        {
            var secret = NewSecret();
            var session = open(secret);
            foreach (var key in (string[])["a", "b", "c"])
            {
                session.SetString(key, key);
            }

            await session.CommitAsync();
            session = open(secret);
            var result = outcome(session);
            await session.CommitAsync();
            session = open(secret);
            return (result, string.Join(",", session.Keys.Order().Select(key => $"{key}={Convert.ToHexString(session.Get(key)!)}")));
        }
    }

    private static MemoryDistributedCache NewCache() => new(Options.Create(new MemoryDistributedCacheOptions()));

    private static DistributedSession Microsofts(IDistributedCache? cache = null, string? secret = null, bool mayEstablish = true) =>
        new(cache ?? NewCache(), secret ?? NewSecret(), TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(1), () => mayEstablish, NullLoggerFactory.Instance, isNewSessionKey: false);
}

public sealed class InBoxParityOnGarnet(InProcessGarnet server) : InBoxParityTests(server);

public sealed class InBoxParityOnRedis(LocalRedis server) : InBoxParityTests(server);

public sealed class InBoxParityInContainer(ContainerRedis server) : InBoxParityTests(server);

public sealed class InBoxParityOnGivenServer(GivenRedis server) : InBoxParityTests(server);

public sealed class InBoxParityOnCluster(LocalCluster server) : InBoxParityTests(server);

public sealed class InBoxParityOfMicrosoftsStore(InProcessGarnet server) : InBoxParityTests(server)
{
    protected override bool IsMicrosofts => true;
}
