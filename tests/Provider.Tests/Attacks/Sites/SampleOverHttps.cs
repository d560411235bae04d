using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace RedisSessions.Tests.Attacks;

/// <summary>The sample as its users meet it: in Production, over HTTPS, with a certificate of the test's own.</summary>
internal sealed class SampleOverHttps : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("redis-sessions-https-").FullName;
    private readonly Process _process;

    private SampleOverHttps(Uri address)
    {
        Address = address;
        var certificate = Path.Combine(_folder, "site.pfx");
        using (var key = RSA.Create(2048))
        {
            var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            using var made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            File.WriteAllBytes(certificate, made.Export(X509ContentType.Pfx, "test"));
        }

        // tests/Provider.Tests/bin/CONFIGURATION/net10.0
        var here = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var folder = Path.Combine(here.Parent!.Parent!.Parent!.Parent!.Parent!.FullName, "samples", "MvcSample");
        var start = new ProcessStartInfo("dotnet", [Path.Combine(folder, "bin", here.Parent.Name, here.Name, "MvcSample.dll"), "--urls", address.ToString(), "--contentRoot", folder])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["ASPNETCORE_ENVIRONMENT"] = "Production",
                ["Kestrel__Certificates__Default__Path"] = certificate,
                ["Kestrel__Certificates__Default__Password"] = "test",
            },
        };
        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        _process.ErrorDataReceived += (_, _) => { };
        _process.BeginErrorReadLine();
    }

    public Uri Address { get; }

    public static async Task<SampleOverHttps> StartAsync()
    {
        var sample = new SampleOverHttps(new Uri($"https://127.0.0.1:{EmbeddedGarnet.FreePort()}"));
        using var client = sample.NewClient();
        await Eventually.TrueAsync(
            async () =>
            {
                Assert.False(sample._process.HasExited);
                try
                {
                    using var response = await client.GetAsync(new Uri("/", UriKind.Relative));
                    return response.IsSuccessStatusCode;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            TimeSpan.FromMinutes(1));
        return sample;
    }

    /// <summary>Keeps cookies, follows no redirect.</summary>
    public HttpClient NewClient() => new(new HttpClientHandler
    {
        AllowAutoRedirect = false,
        ServerCertificateCustomValidationCallback = HttpClientHandler.DangerousAcceptAnyServerCertificateValidator,
    })
    {
        BaseAddress = Address,
    };

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
