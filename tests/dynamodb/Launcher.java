import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer;
import java.io.IOException;
import java.io.PrintStream;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * DynamoDB Local on loopback. Its own runner listens on all interfaces and cannot be told otherwise.
 * Prints its port on a line once it answers, and ends when its standard input or the process of the given id does.
 */
public final class Launcher {
    private static final String HOST = "127.0.0.1";

    public static void main(String[] arguments) throws Exception {
        // Standard input is not enough: a process that the parent forked may hold it open after the parent's end.
        ProcessHandle.of(Long.parseLong(arguments[0])).ifPresentOrElse(
            parent -> parent.onExit().thenRun(() -> System.exit(0)), () -> System.exit(0));
        PrintStream out = System.out;
        System.setOut(System.err); // the runner greets on it, where only the port is to be read
        // It takes no port 0; the one named here is never used.
        DynamoDBProxyServer proxy = ServerRunner.createServerFromCommandLineArgs(
            new String[] {"-inMemory", "-disableTelemetry", "-port", "8000"});
        var field = DynamoDBProxyServer.class.getDeclaredField("server");
        field.setAccessible(true);
        Server server = (Server) field.get(proxy);
        for (Connector connector : server.getConnectors()) {
            ((ServerConnector) connector).setHost(HOST);
            ((ServerConnector) connector).setPort(0); // the system chooses, so nobody can take it first
        }
        proxy.safeStart(); // start() says only on standard error that it failed
        int port = ((ServerConnector) server.getConnectors()[0]).getLocalPort();
        ask(port);
        out.println(port);
        out.flush();

        while (System.in.read() >= 0) {
            // nothing is said to us
        }
        System.exit(0); // and the copy of SQLite's library that lies in a temporary folder is deleted
    }

    /** One request: it loads SQLite's native library, which not every machine has, and it makes the next one quick. */
    private static void ask(int port) throws IOException {
        var request = (HttpURLConnection) new URL("http", HOST, port, "/").openConnection(Proxy.NO_PROXY);
        request.setDoOutput(true);
        request.setRequestProperty("Content-Type", "application/x-amz-json-1.0");
        request.setRequestProperty("X-Amz-Target", "DynamoDB_20120810.ListTables");
        request.setRequestProperty("Authorization",
            "AWS4-HMAC-SHA256 Credential=launcher/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0");
        request.getOutputStream().write("{}".getBytes(StandardCharsets.UTF_8));
        if (request.getResponseCode() != 200) {
            System.err.println("DynamoDB Local answers with status " + request.getResponseCode());
            System.exit(1);
        }
    }
}
