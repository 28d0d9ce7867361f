// @summary@
// Runs the network twice a second and prints how long it takes.
#include <string.h>
#include <@prefix@.h>

void setup()
{
    Serial.begin(115200);
@self_test@}

void loop()
{
@inputs@    unsigned long begin = micros();
    @prefix@_run();
    Serial.print("microseconds: ");
    Serial.println(micros() - begin);
    Serial.print("first output: ");
    Serial.println(@prefix@_output_0()[0]);
    delay(500);
}
