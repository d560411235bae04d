using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DotNet.Testcontainers.Images;
using Testcontainers.Redis;

[assembly: AssemblyFixture(typeof(InProcessGarnet))]
[assembly: AssemblyFixture(typeof(LocalRedis))]
[assembly: AssemblyFixture(typeof(ContainerRedis))]
[assembly: AssemblyFixture(typeof(LocalCluster))]
[assembly: AssemblyFixture(typeof(GivenRedis))]
[assembly: AssemblyFixture(typeof(LocalSentinel))]
[assembly: AssemblyFixture(typeof(TlsRedis))]
[assembly: AssemblyFixture(typeof(Resp2Redis))]

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Garnet in this process: always there.</summary>
public sealed class InProcessGarnet : RedisServer
{
    private EmbeddedGarnet? _garnet;

    protected override Task StartAsync()
    {
        _garnet = new EmbeddedGarnet();
        Address = _garnet.Address;
        return Task.CompletedTask;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _garnet?.Dispose();
    }
}

/// <summary>The redis-server on PATH.</summary>
public sealed class LocalRedis : RedisServer
{
    private RedisProcess? _process;

    protected override async Task StartAsync()
    {
        if (!RedisProcess.IsInstalled)
        {
            Missing = "there is no redis-server on PATH";
            return;
        }

        _process = await RedisProcess.StartAsync();
        Address = _process.Address;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _process?.Dispose();
    }
}

/// <summary>A Redis Cluster of local processes, where redis-server and redis-cli are on PATH.</summary>
public sealed class LocalCluster : RedisServer
{
    private RedisClusterProcesses? _cluster;

    protected override async Task StartAsync()
    {
        if (!RedisProcess.IsInstalled)
        {
            Missing = "there is no redis-server on PATH";
            return;
        }

        _cluster = await RedisClusterProcesses.StartAsync();
        Address = _cluster.Address;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _cluster?.Dispose();
    }
}

/// <summary>A master and its replicas behind three Sentinels, found by their name.</summary>
public sealed class LocalSentinel : RedisServer
{
    private SentinelProcesses? _processes;

    protected override async Task StartAsync()
    {
        if (!RedisProcess.IsInstalled)
        {
            Missing = "there is no redis-server on PATH";
            return;
        }

        _processes = await SentinelProcesses.StartAsync();
        Address = _processes.Address;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _processes?.Dispose();
    }
}

/// <summary>The redis-server on PATH, spoken to in TLS.</summary>
public sealed class TlsRedis : RedisServer
{
    // By which StackExchange.Redis learns of an issuer that the machine does not know, for a connection string cannot say it.
    private const string IssuerVariable = "SERedis_IssuerCertPath";

    private RedisProcess? _process;
    private DirectoryInfo? _folder;

    protected override async Task StartAsync()
    {
        if (!RedisProcess.IsInstalled)
        {
            Missing = "there is no redis-server on PATH";
            return;
        }

        _folder = Directory.CreateTempSubdirectory("redis-tls-");
        var (issuer, certificate, key) = WriteCertificates(_folder.FullName);
        Environment.SetEnvironmentVariable(IssuerVariable, issuer);
        var port = EmbeddedGarnet.FreePort();
        _process = await RedisProcess.StartAsync(
            "--tls-port", $"{port}", "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", issuer, "--tls-auth-clients", "no");
        Address = $"127.0.0.1:{port},ssl=true,sslHost=localhost";
    }

    private static (string Issuer, string Certificate, string Key) WriteCertificates(string folder)
    {
        var (from, until) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(2));
        using var issuerKey = RSA.Create(2048);
        var request = new CertificateRequest("CN=issuer", issuerKey, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        using var issuer = request.CreateSelfSigned(from, until);
        using var key = RSA.Create(2048);
        var own = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        own.CertificateExtensions.Add(names.Build());
        using var certificate = own.Create(issuer, from, until, [1, 2, 3, 4]);
        return (Write("issuer.pem", issuer.ExportCertificatePem()), Write("server.pem", certificate.ExportCertificatePem()), Write("server.key", key.ExportPkcs8PrivateKeyPem()));

        string Write(string name, string text)
        {
            var path = Path.Combine(folder, name);
            File.WriteAllText(path, text);
            return path;
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _process?.Dispose();
        _folder?.Delete(recursive: true);
    }
}

/// <summary>The redis-server on PATH, spoken to in the older protocol, as where a proxy or a version knows no other.</summary>
public sealed class Resp2Redis : RedisServer
{
    private RedisProcess? _process;

    protected override async Task StartAsync()
    {
        if (!RedisProcess.IsInstalled)
        {
            Missing = "there is no redis-server on PATH";
            return;
        }

        _process = await RedisProcess.StartAsync();
        Address = _process.Address + ",protocol=resp2";
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _process?.Dispose();
    }
}

/// <summary>Redis in a container, where a Docker API answers.</summary>
public sealed class ContainerRedis : RedisServer
{
    private RedisContainer? _container;

    // Set by .ci/run, with a loud line, where no container engine can be had.
    protected override bool RequiredOnCI => Environment.GetEnvironmentVariable("REDIS_SESSIONS_WITHOUT_DOCKER") is null;

    protected override async Task StartAsync()
    {
        try
        {
            _container = new RedisBuilder(Environment.GetEnvironmentVariable("REDIS_SESSIONS_TEST_IMAGE") ?? "redis:7.0")
                .WithImagePullPolicy(PullPolicy.Missing)
                .Build();
            await _container.StartAsync();
        }
        catch (Exception exception)
        {
            Missing = $"no Docker API answers here ({exception.GetType().Name}: {exception.Message.ReplaceLineEndings(" ")})";
            return;
        }

        Address = _container.GetConnectionString();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (_container is not null)
        {
            await _container.DisposeAsync();
        }
    }
}

/// <summary>The server whose address is in REDIS_SESSIONS_TEST_SERVER.</summary>
public sealed class GivenRedis : RedisServer
{
    protected override bool RequiredOnCI => false;

    protected override Task StartAsync()
    {
        Address = Environment.GetEnvironmentVariable("REDIS_SESSIONS_TEST_SERVER") ?? "";
        Missing = Address.Length == 0 ? "REDIS_SESSIONS_TEST_SERVER names no server" : null;
        return Task.CompletedTask;
    }
}
