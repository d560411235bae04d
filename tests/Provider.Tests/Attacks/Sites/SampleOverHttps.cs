using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using RedisSessions.Tests.Sample;

namespace RedisSessions.Tests.Attacks;

/// <summary>The sample as its users meet it: in Production, over HTTPS, with a certificate of the test's own.</summary>
internal sealed class SampleOverHttps : IDisposable
{
    private readonly DirectoryInfo _folder;
    private readonly SampleSite _site;

    private SampleOverHttps(DirectoryInfo folder, SampleSite site)
    {
        _folder = folder;
        _site = site;
    }

    public static async Task<SampleOverHttps> StartAsync()
    {
        var folder = Directory.CreateTempSubdirectory("redis-sessions-https-");
        var certificate = Path.Combine(folder.FullName, "site.pfx");
        using (var key = RSA.Create(2048))
        {
            var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            using var made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            await File.WriteAllBytesAsync(certificate, made.Export(X509ContentType.Pfx, "test"));
        }

        var site = await SampleSite.StartAsync(
            null,
            "https",
            ("ASPNETCORE_ENVIRONMENT", "Production"),
            ("Kestrel__Certificates__Default__Path", certificate),
            ("Kestrel__Certificates__Default__Password", "test"));
        return new SampleOverHttps(folder, site);
    }

    public SampleVisitor NewVisitor() => new(_site.Address);

    public void Dispose()
    {
        _site.Dispose();
        _folder.Delete(recursive: true);
    }
}
