using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace RedisSessions.Tests.Sample;

/// <summary>The sample, started as <c>dotnet run</c> starts it.</summary>
public sealed partial class SampleSite : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private bool _isDisposed;

    private SampleSite(Process process, Uri address)
    {
        _process = process;
        Address = address;
    }

    public Uri Address { get; }

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    public static async Task<SampleSite> StartAsync(string? redis = null, string scheme = "http", params (string Name, string Value)[] settings)
    {
        // tests/Provider.Tests/bin/CONFIGURATION/net10.0
        var here = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var root = here.Parent!.Parent!.Parent!.Parent!.Parent!.FullName;
        var folder = Path.Combine(root, "samples", "MvcSample");
        var dll = Path.Combine(folder, "bin", here.Parent.Name, here.Name, "MvcSample.dll");
        var address = new Uri($"{scheme}://127.0.0.1:{EmbeddedGarnet.FreePort()}");
        var start = new ProcessStartInfo("dotnet", [dll, "--urls", address.ToString(), "--contentRoot", folder])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,

            // As Properties/launchSettings.json says.
            Environment = { ["ASPNETCORE_ENVIRONMENT"] = "Development" },
        };
        if (redis is not null)
        {
            start.Environment["ConnectionStrings__Redis"] = redis + RedisServer.Patient;
        }

        foreach (var (name, value) in settings)
        {
            start.Environment[name] = value;
        }

        var site = new SampleSite(Process.Start(start)!, address);
        site._process.OutputDataReceived += site.Keep;
        site._process.ErrorDataReceived += site.Keep;
        site._process.BeginOutputReadLine();
        site._process.BeginErrorReadLine();
        using var client = new HttpClient(new HttpClientHandler { ServerCertificateCustomValidationCallback = HttpClientHandler.DangerousAcceptAnyServerCertificateValidator });
        await Eventually.TrueAsync(
            async () =>
            {
                Assert.False(site._process.HasExited, site.Output);
                try
                {
                    using var response = await client.GetAsync(address);
                    return response.IsSuccessStatusCode;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            TimeSpan.FromMinutes(1));
        return site;
    }

    /// <summary>The antiforgery token of a page's forms.</summary>
    public static string TokenIn(string page) => Token().Match(page).Groups[1].Value;

    [GeneratedRegex("name=\"__RequestVerificationToken\"[^>]*value=\"([^\"]+)\"")]
    private static partial Regex Token();

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (_output)
        {
            _output.AppendLine(line.Data);
        }
    }

    /// <summary>Kills it; may be called again.</summary>
    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }
}
