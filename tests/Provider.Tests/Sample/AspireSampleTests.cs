using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace RedisSessions.Tests.Sample;

/// <summary>
/// samples/Aspire as its user starts it: Redis in a container, two replicas behind one address. Built here and not with the tests, for Aspire's packages are large, and most who run the tests have no container engine.
/// </summary>
public sealed class AspireSampleTests(ContainerRedis server)
{
    // As its launchSettings.json says.
    private static readonly Uri Address = new("http://localhost:5090/");

    private static readonly string Folder = Path.Combine(RepositoryRoot.Path, "samples", "Aspire");

    private static string? Engine { get; } = new[] { "docker", "podman" }.FirstOrDefault(program =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program))));

    [Fact]
    public async Task Two_replicas_behind_one_address_are_one_site()
    {
        server.SkipIfMissing();
        Assert.SkipWhen(Engine is null && !RedisServer.OnCI, "There is neither docker nor podman on PATH, which Aspire starts containers with.");
        await RunAsync("dotnet", ["build", Folder, "-c", "Debug", "-v", "quiet"]);
        using var host = Start(Path.Combine(Folder, "bin", "Debug", "net10.0", "RedisSessions.AspireSample"), []);
        try
        {
            using var http = new HttpClient(new SocketsHttpHandler { CookieContainer = new CookieContainer(), PooledConnectionLifetime = TimeSpan.Zero }) { BaseAddress = Address, Timeout = TimeSpan.FromSeconds(10) };
            var (visits, givenUp) = (0, 0);
            var replicas = new HashSet<string>();
            await Eventually.TrueAsync(
                async () =>
                {
                    Assert.False(host.HasExited, "The application host ended.");
                    if (await TryGetAsync(http) is not { } page)
                    {
                        givenUp++;
                        return false;
                    }

                    // visit 1, served by process 2; one that was given up may have counted.
                    var words = page.Split(' ');
                    var visit = int.Parse(words[1].TrimEnd(','), CultureInfo.InvariantCulture);
                    Assert.InRange(visit, visits + 1, visits + givenUp + 1);
                    (visits, givenUp) = (visit, 0);
                    replicas.Add(words[^1]);
                    return replicas.Count == 2 && visits >= 10;
                },
                TimeSpan.FromMinutes(3),
                "both replicas have answered");
        }
        finally
        {
            // As Ctrl+C: it takes its container away.
            await RunAsync("kill", ["-INT", $"{host.Id}"]);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            try
            {
                await host.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                host.Kill(entireProcessTree: true);
            }
        }
    }

    private static async Task<string?> TryGetAsync(HttpClient http)
    {
        try
        {
            return await http.GetStringAsync("");
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
        {
            // Nobody listens yet, or no replica is ready.
            return null;
        }
    }

    private static Process Start(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = Folder };
        start.Environment["ASPIRE_CONTAINER_RUNTIME"] = Engine;
        start.Environment["RedisTag"] = (Environment.GetEnvironmentVariable("REDIS_SESSIONS_TEST_IMAGE") ?? "redis:7.0").Split(':')[^1];
        start.Environment["ASPNETCORE_ENVIRONMENT"] = start.Environment["DOTNET_ENVIRONMENT"] = "Development";
        start.Environment["ASPNETCORE_URLS"] = "http://localhost:15090";
        start.Environment["ASPIRE_ALLOW_UNSECURED_TRANSPORT"] = "true";
        start.Environment["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"] = "http://localhost:19090";
        start.Environment["ASPIRE_RESOURCE_SERVICE_ENDPOINT_URL"] = "http://localhost:20090";
        return Process.Start(start)!;
    }

    private static async Task RunAsync(string program, string[] arguments)
    {
        using var process = Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }
}
